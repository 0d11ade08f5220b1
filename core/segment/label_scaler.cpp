#include "core/segment/label_scaler.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/base/error.h"

namespace fovea {

LabelScaler::Between LabelScaler::between(std::int64_t place, std::int64_t from, std::int64_t to) {
  const double centre = (static_cast<double>(place) + 0.5) * static_cast<double>(from) / static_cast<double>(to) - 0.5;
  const double below = std::floor(centre);
  const auto first = std::clamp<std::int64_t>(std::llround(below), 0, from - 1);
  return {first, std::clamp<std::int64_t>(std::llround(below) + 1, 0, from - 1), static_cast<float>(centre - below)};
}

LabelRows LabelScaler::add(LabelRows rows) {
  require(rows.classes.width() == from_.width && end_row_ + rows.classes.height() <= from_.height, "LabelScaler: rows of another map");
  keep(rows);
  const std::int64_t ready = rows_ready();
  LabelRows result{.classes = ImageU8(to_.width, ready, 1), .probabilities = {}};
  if (channels_ > 0) result.probabilities = ImageU8(to_.width, ready, channels_);
  for (std::int64_t y = 0; y < ready; ++y) {
    const Between place = between(rows_done_ + y, from_.height, to_.height);
    vote(place, result.classes.row(y));
    if (channels_ > 0) blend(place, result.probabilities.row(y));
  }
  rows_done_ += ready;
  drop_before(rows_done_ < to_.height ? between(rows_done_, from_.height, to_.height).first : from_.height);
  return result;
}

std::int64_t LabelScaler::rows_ready() const {
  std::int64_t ready = 0;
  while (rows_done_ + ready < to_.height && between(rows_done_ + ready, from_.height, to_.height).second < end_row_) ++ready;
  return ready;
}

void LabelScaler::keep(const LabelRows& rows) {
  channels_ = rows.probabilities.empty() ? 0 : rows.probabilities.channels();
  classes_.insert(classes_.end(), rows.classes.samples().begin(), rows.classes.samples().end());
  probabilities_.insert(probabilities_.end(), rows.probabilities.samples().begin(), rows.probabilities.samples().end());
  end_row_ += rows.classes.height();
}

void LabelScaler::drop_before(std::int64_t row) {
  const std::int64_t count = std::min(row, end_row_) - first_row_;
  if (count <= 0) return;
  classes_.erase(classes_.begin(), classes_.begin() + count * from_.width);
  probabilities_.erase(probabilities_.begin(), probabilities_.begin() + count * from_.width * channels_);
  first_row_ += count;
}

void LabelScaler::vote(const Between& y, std::uint8_t* out) const {
  const std::uint8_t* above = classes_.data() + (y.first - first_row_) * from_.width;
  const std::uint8_t* below = classes_.data() + (y.second - first_row_) * from_.width;
  for (std::int64_t i = 0; i < to_.width; ++i) {
    const Between x = between(i, from_.width, to_.width);
    const std::array<std::uint8_t, 4> labels{above[x.first], above[x.second], below[x.first], below[x.second]};
    if (labels[0] == labels[1] && labels[0] == labels[2] && labels[0] == labels[3]) {
      out[i] = labels[0];
      continue;
    }
    const std::array<float, 4> weights{(1 - x.share) * (1 - y.share), x.share * (1 - y.share), (1 - x.share) * y.share, x.share * y.share};
    float best = -1;
    for (const std::uint8_t label : labels) {
      float sum = 0;
      for (std::size_t k = 0; k < 4; ++k) sum += labels[k] == label ? weights[k] : 0;
      if (sum > best) best = sum, out[i] = label;
    }
  }
}

void LabelScaler::blend(const Between& y, std::uint8_t* out) const {
  const std::int64_t row_size = from_.width * channels_;
  const std::uint8_t* above = probabilities_.data() + (y.first - first_row_) * row_size;
  const std::uint8_t* below = probabilities_.data() + (y.second - first_row_) * row_size;
  for (std::int64_t i = 0; i < to_.width; ++i) {
    const Between x = between(i, from_.width, to_.width);
    for (int c = 0; c < channels_; ++c) {
      const auto mix = [&](const std::uint8_t* row) {
        const auto first = static_cast<float>(row[x.first * channels_ + c]), second = static_cast<float>(row[x.second * channels_ + c]);
        return first * (1 - x.share) + second * x.share;
      };
      *out++ = static_cast<std::uint8_t>(mix(above) * (1 - y.share) + mix(below) * y.share + 0.5f);
    }
  }
}

}  // namespace fovea
