#include "core/segment/tiles_context.h"

#include <algorithm>
#include <cstring>

#include "core/segment/device_work.h"
#include "core/segment/label_tensors.h"
#include "core/segment/read_ahead.h"
#include "core/segment/stage_clock.h"
#include "core/segment/tile_plan.h"

namespace fovea {
namespace {

using torch::indexing::Slice;

// How much of a span is shared with the neighbours before and after it.
struct Shared {
  std::int64_t before = 0, after = 0;
};
Shared shared_of(const std::vector<Span>& spans, std::size_t index, std::int64_t overlap) {
  return {index > 0 ? overlap : 0, index + 1 < spans.size() ? overlap : 0};
}

// Sums weighted tile probabilities into whole rows, keeping only what later tiles still add to.
class Blender {
 public:
  Blender(std::int64_t width, std::int64_t classes, std::int64_t overlap, torch::Device device)
      : ramp_(torch::tensor(blend_ramp(overlap)).to(device)), below_(torch::zeros({classes, overlap, width}, device)) {}

  // probabilities: [classes, h, w] of the tile at column x0, changed in place. Returns those [classes, h - rows.after, w - columns.after]
  // that no later tile changes; they are gone after the next call.
  torch::Tensor add(torch::Tensor probabilities, std::int64_t x0, Shared rows, Shared columns) {
    weigh(probabilities, 1, rows);
    weigh(probabilities, 2, columns);
    if (columns.before > 0) probabilities.narrow(2, 0, columns.before).add_(right_);
    const std::int64_t width = probabilities.size(2) - columns.after, height = probabilities.size(1) - rows.after;
    if (columns.after > 0) right_ = probabilities.narrow(2, width, columns.after).clone();
    const auto whole = probabilities.narrow(2, 0, width);
    const auto below = below_.narrow(2, x0, width);
    if (rows.before > 0) whole.narrow(1, 0, rows.before).add_(below);
    if (rows.after > 0) below.copy_(whole.narrow(1, height, rows.after));
    return whole.narrow(1, 0, height);
  }

 private:
  void weigh(torch::Tensor& probabilities, std::int64_t axis, Shared shared) const {
    const auto shape = axis == 1 ? std::vector<std::int64_t>{1, -1, 1} : std::vector<std::int64_t>{1, 1, -1};
    const auto ramp = ramp_.view(shape);
    if (shared.before > 0) probabilities.narrow(axis, 0, shared.before).mul_(ramp);
    if (shared.after > 0) probabilities.narrow(axis, probabilities.size(axis) - shared.after, shared.after).mul_(1 - ramp);
  }

  torch::Tensor ramp_;    // [overlap]
  torch::Tensor right_;   // [classes, h, overlap]: what the tile to the left gave to the columns it shares with the next
  torch::Tensor below_;   // [classes, overlap, width]: what the tile row above gave to the rows it shares with the next
};

// [classes, h, w]; zeros where the tile has no data at all: its pixels keep the no-data label, so that they need no forward pass.
torch::Tensor tile_probabilities(const torch::Tensor& pixels, SegmentationModel& model, const Rect& rect) {
  const auto classes = static_cast<std::int64_t>(model.config().classes.size());
  if (!pixels.defined()) return torch::zeros({classes, rect.height, rect.width}, model.device());
  return model.forward(pixels).softmax(1)[0];
}

std::vector<Rect> tile_rects(const std::vector<Span>& rows, const std::vector<Span>& columns) {
  std::vector<Rect> rects;
  for (const Span& row : rows) {
    for (const Span& column : columns) rects.push_back({column.begin, row.begin, column.length(), row.length()});
  }
  return rects;
}

void copy_columns(const ImageU8& part, std::int64_t x0, ImageU8& whole) {
  const std::int64_t channels = part.channels();
  for (std::int64_t y = 0; y < part.height(); ++y) {
    std::memcpy(whole.row(y) + x0 * channels, part.row(y), static_cast<std::size_t>(part.width() * channels));
  }
}

// Room for the labels of one row of tiles.
LabelRows empty_rows(std::int64_t width, std::int64_t height, int probability_channels) {
  LabelRows rows{.classes = ImageU8(width, height, 1), .probabilities = {}};
  if (probability_channels > 0) rows.probabilities = ImageU8(width, height, probability_channels);
  return rows;
}

}  // namespace

StageSeconds segment_by_tiles(ImageSource& source, SegmentationModel& model, const SegmentOptions& options, LabelSink& sink,
                              Progress& progress, const std::stop_token& stop) {
  const torch::InferenceMode no_gradients;
  const auto plan = tile_plan_options(options.tile_pixels, options.overlap_pixels, model.config().encoder.patch);
  const std::int64_t width = source.info().width, height = source.info().height;
  const auto rows = plan_tiles(height, plan), columns = plan_tiles(width, plan);
  const std::vector<Rect> rects = tile_rects(rows, columns);
  const auto classes = static_cast<int>(model.config().classes.size());
  const bool wanted = options.probabilities == Probabilities::kEveryClass;
  Blender blender(width, classes, plan.overlap, model.device());
  ReadAhead reader(source, rects, model.device(), EmptyWindows::kSkip);
  StageClock clock;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const Shared shared_rows = shared_of(rows, r, plan.overlap);
    LabelRows labels = empty_rows(width, rows[r].length() - shared_rows.after, wanted ? classes : 0);
    for (std::size_t c = 0; c < columns.size(); ++c) {
      throw_if_stopped(stop);
      const Rect& rect = rects[r * columns.size() + c];
      const auto pixels = reader.next();
      clock.charge("read_wait");
      auto probabilities = tile_probabilities(pixels, model, rect);
      finish_device_work(model.device());
      clock.charge("forward");
      const auto blended = blender.add(std::move(probabilities), rect.x, shared_rows, shared_of(columns, c, plan.overlap));
      const LabelRows part = label_rows(blended, wanted ? blended : torch::Tensor());
      copy_columns(part.classes, rect.x, labels.classes);
      if (wanted) copy_columns(part.probabilities, rect.x, labels.probabilities);
      clock.charge("labels");
      progress.report("segment", rows[r].begin * width + labels.classes.height() * (rect.x + rect.width), width * height);
    }
    sink.append(std::move(labels));
    clock.charge("write_wait");
  }
  StageSeconds seconds = clock.seconds();
  seconds["read"] = reader.busy_seconds();
  return seconds;
}

}  // namespace fovea
