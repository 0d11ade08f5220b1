#include "core/image/image_views.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

namespace fovea {
namespace {

constexpr std::int64_t kRowsAtOnce = 64;   // of the result: bounds how much of the source is held

class WindowSource final : public ImageSource {
 public:
  WindowSource(std::unique_ptr<ImageSource> source, const Rect& rect) : source_(std::move(source)), rect_(rect), info_(source_->info()) {
    info_.width = rect.width;
    info_.height = rect.height;
    info_.levels = {{rect.width, rect.height}};
    if (!info_.georeference.geotransform) return;
    auto& t = *info_.georeference.geotransform;
    const auto x = static_cast<double>(rect.x), y = static_cast<double>(rect.y);
    t[0] += x * t[1] + y * t[2];
    t[3] += x * t[4] + y * t[5];
  }
  const ImageInfo& info() const override { return info_; }
  ImageU8 read_rgb(Rect rect, int) override { return source_->read_rgb(moved(rect)); }
  ImageU8 read_valid(Rect rect, int) override { return source_->read_valid(moved(rect)); }

 private:
  Rect moved(const Rect& rect) const {
    const bool inside = rect.x >= 0 && rect.y >= 0 && rect.x + rect.width <= rect_.width && rect.y + rect.height <= rect_.height;
    require(inside, "the window leaves the image");
    return {rect_.x + rect.x, rect_.y + rect.y, rect.width, rect.height};
  }

  std::unique_ptr<ImageSource> source_;
  Rect rect_;
  ImageInfo info_;
};

// Which old pixels make one new pixel along one axis.
struct Taps {
  std::int64_t first = 0;
  std::vector<float> weights;
};

class Axis {
 public:
  Axis(std::int64_t from, std::int64_t to) : from_(from), step_(static_cast<double>(from) / static_cast<double>(to)) {}

  Taps taps(std::int64_t place) const {
    const double centre = (static_cast<double>(place) + 0.5) * step_, reach = std::max(1.0, step_);
    Taps taps;
    taps.first = std::max<std::int64_t>(0, std::llround(std::floor(centre - reach)));
    const std::int64_t end = std::min<std::int64_t>(from_, std::llround(std::ceil(centre + reach)));
    double sum = 0;
    std::vector<double> weights;
    for (std::int64_t i = taps.first; i < end; ++i) {
      weights.push_back(std::max(0.0, 1 - std::abs(static_cast<double>(i) + 0.5 - centre) / reach));
      sum += weights.back();
    }
    for (const double weight : weights) taps.weights.push_back(static_cast<float>(weight / sum));
    return taps;
  }
  std::int64_t nearest(std::int64_t place) const {
    return std::min(from_ - 1, static_cast<std::int64_t>((static_cast<double>(place) + 0.5) * step_));
  }
  // Old pixels [begin, end) that the new ones [place, place + count) are made of.
  std::pair<std::int64_t, std::int64_t> range(std::int64_t place, std::int64_t count) const {
    const Taps last = taps(place + count - 1);
    return {taps(place).first, last.first + static_cast<std::int64_t>(last.weights.size())};
  }
  double step() const { return step_; }

 private:
  std::int64_t from_;
  double step_;
};

class ResampledSource final : public ImageSource {
 public:
  ResampledSource(ImageSource& source, std::int64_t width, std::int64_t height)
      : source_(source), columns_(source.info().width, width), rows_(source.info().height, height), info_(source.info()) {
    info_.width = width;
    info_.height = height;
    info_.levels = {{width, height}};
    if (!info_.georeference.geotransform) return;
    auto& t = *info_.georeference.geotransform;
    for (const std::size_t i : {1u, 4u}) t[i] *= columns_.step();
    for (const std::size_t i : {2u, 5u}) t[i] *= rows_.step();
  }
  const ImageInfo& info() const override { return info_; }

  ImageU8 read_rgb(Rect rect, int) override {
    ImageU8 result(rect.width, rect.height, 3);
    std::vector<Taps> columns;
    for (std::int64_t x = 0; x < rect.width; ++x) columns.push_back(columns_.taps(rect.x + x));
    for (std::int64_t y = 0; y < rect.height; y += kRowsAtOnce) {
      add_rows({rect.x, rect.y + y, rect.width, std::min(kRowsAtOnce, rect.height - y)}, columns, result.row(y));
    }
    return result;
  }

  // That of the pixel in whose place the new pixel's centre lies.
  ImageU8 read_valid(Rect rect, int) override {
    ImageU8 result(rect.width, rect.height, 1);
    const std::int64_t left = columns_.nearest(rect.x), right = columns_.nearest(rect.x + rect.width - 1) + 1;
    for (std::int64_t y = 0; y < rect.height; y += kRowsAtOnce) {
      const std::int64_t count = std::min(kRowsAtOnce, rect.height - y);
      const std::int64_t top = rows_.nearest(rect.y + y), bottom = rows_.nearest(rect.y + y + count - 1) + 1;
      const ImageU8 old = source_.read_valid({left, top, right - left, bottom - top});
      for (std::int64_t i = y; i < y + count; ++i) {
        const std::uint8_t* from = old.row(rows_.nearest(rect.y + i) - top);
        for (std::int64_t x = 0; x < rect.width; ++x) result.row(i)[x] = from[columns_.nearest(rect.x + x) - left];
      }
    }
    return result;
  }

 private:
  void add_rows(const Rect& rect, const std::vector<Taps>& columns, std::uint8_t* out) {
    const auto [left, right] = columns_.range(rect.x, rect.width);
    const auto [top, bottom] = rows_.range(rect.y, rect.height);
    const ImageU8 old = source_.read_rgb({left, top, right - left, bottom - top});
    const auto row_size = static_cast<std::size_t>(rect.width) * 3;
    std::vector<float> narrowed(static_cast<std::size_t>(bottom - top) * row_size);
    for (std::int64_t y = 0; y < bottom - top; ++y) {
      narrow_row(old.row(y), left, columns, narrowed.data() + static_cast<std::size_t>(y) * row_size);
    }
    std::vector<float> sums(row_size);
    for (std::int64_t y = 0; y < rect.height; ++y) {
      const Taps taps = rows_.taps(rect.y + y);
      std::fill(sums.begin(), sums.end(), 0.5f);   // rounds
      for (std::size_t i = 0; i < taps.weights.size(); ++i) {
        const float* row = narrowed.data() + (static_cast<std::size_t>(taps.first - top) + i) * row_size;
        for (std::size_t k = 0; k < row_size; ++k) sums[k] += taps.weights[i] * row[k];
      }
      for (const float sum : sums) *out++ = static_cast<std::uint8_t>(std::min(sum, 255.0f));
    }
  }

  static void narrow_row(const std::uint8_t* row, std::int64_t left, const std::vector<Taps>& columns, float* out) {
    for (const Taps& taps : columns) {
      const std::uint8_t* from = row + (taps.first - left) * 3;
      float red = 0, green = 0, blue = 0;
      for (const float weight : taps.weights) {
        red += weight * static_cast<float>(from[0]);
        green += weight * static_cast<float>(from[1]);
        blue += weight * static_cast<float>(from[2]);
        from += 3;
      }
      *out++ = red, *out++ = green, *out++ = blue;
    }
  }

  ImageSource& source_;
  Axis columns_, rows_;
  ImageInfo info_;
};

}  // namespace

std::unique_ptr<ImageSource> window_of(std::unique_ptr<ImageSource> source, const Rect& rect) {
  const ImageInfo& info = source->info();
  const bool inside = rect.x >= 0 && rect.y >= 0 && rect.width > 0 && rect.height > 0 && rect.x <= info.width - rect.width &&
                      rect.y <= info.height - rect.height;
  if (!inside) {
    const auto size = [](std::int64_t width, std::int64_t height) { return std::to_string(width) + " x " + std::to_string(height); };
    throw Error(ErrorKind::kInput, "the window of " + size(rect.width, rect.height) + " pixels at " + std::to_string(rect.x) + ", " +
                                       std::to_string(rect.y) + " is not inside the image of " + size(info.width, info.height));
  }
  return std::make_unique<WindowSource>(std::move(source), rect);
}

std::unique_ptr<ImageSource> resampled(ImageSource& source, std::int64_t width, std::int64_t height) {
  require(width > 0 && height > 0, "resampled: at least one pixel");
  return std::make_unique<ResampledSource>(source, width, height);
}

}  // namespace fovea
