// Segmentation for the viewer: the pipeline of `fovea segment`, on an image or on a window of it.
#include <algorithm>
#include <chrono>
#include <utility>

#include "app/viewer/explore/torch_engine.h"
#include "core/base/clock.h"
#include "core/image/image_views.h"
#include "core/segment/label_output.h"
#include "core/segment/outputs.h"
#include "core/segment/segment.h"

namespace fovea::explore {
namespace {

class RowsSink final : public LabelSink {
 public:
  RowsSink(const Engine::ClassRows& rows, ImageOutputs* files) : rows_(rows), files_(files) {}
  void append(LabelRows rows) override {
    if (rows_) rows_(rows.classes);
    if (files_ != nullptr) files_->append(std::move(rows));
  }

 private:
  const Engine::ClassRows& rows_;
  ImageOutputs* files_;
};

Rect cut_to(const Rect& rect, const ImageInfo& info) {
  const std::int64_t x0 = std::max<std::int64_t>(0, rect.x), y0 = std::max<std::int64_t>(0, rect.y);
  const Rect cut{x0, y0, std::min(info.width, rect.x + rect.width) - x0, std::min(info.height, rect.y + rect.height) - y0};
  if (cut.width < 1 || cut.height < 1)
    throw Error(ErrorKind::kUsage, "the view does not show any of the image: press 0 to fit it, then segment again");
  return cut;
}

}  // namespace

Engine::SegmentSummary TorchEngine::segment_region(const SegmentRequest& request, const ClassRows& rows, Progress& progress,
                                            const std::stop_token& stop) {
  const auto start = std::chrono::steady_clock::now();
  progress.report("model", 0, 1);
  load_or_find(request.model, request.device);
  throw_if_stopped(stop);
  if (!model_->config().decoder)
    throw Error(ErrorKind::kModel, request.model + ": a backbone without a decoder cannot segment: choose another model");
  auto source = open_image(request.image);
  SegmentSummary summary{.model = summary_, .area = {0, 0, source->info().width, source->info().height}, .class_pixels = {}, .files = {}};
  if (request.region_level0) {
    summary.area = cut_to(*request.region_level0, source->info());
    source = window_of(std::move(source), summary.area);
  }
  std::unique_ptr<ImageOutputs> files;
  if (!request.outputs.empty()) {
    files = std::make_unique<ImageOutputs>(ImageOutputs::Subject{.image = request.image, .stem = request.stem},
                                           OutputChoice{.kinds = request.outputs}, *source, model_->config());
  }
  const bool probabilities = std::ranges::find(request.outputs, OutputKind::kProbabilities) != request.outputs.end();
  const SegmentOptions options{.probabilities = probabilities ? Probabilities::kEveryClass : Probabilities::kNone};
  RowsSink sink(rows, files.get());
  LabelOutput labels(*source, model_->config(), sink);
  try {
    segment_image(*source, *model_, options, labels, progress, stop);
    if (files) files->finish(), summary.files = files->files();
    const LabelCounts counts = labels.counts();
    summary.class_pixels = counts.class_pixels;
    summary.nodata_pixels = counts.nodata_pixels;
  } catch (const Error& error) {
    // Some of the pipeline's errors have no subject: batches add it there too.
    const std::string what = error.what(), name = request.image.filename().string();
    if (error.kind() == ErrorKind::kInput && what.find(name) == std::string::npos) throw Error(error.kind(), name + ": " + what);
    throw;
  }
  summary.seconds = seconds_since(start);
  return summary;
}

}  // namespace fovea::explore
