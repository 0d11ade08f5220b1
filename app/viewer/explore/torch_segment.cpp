// Segmentation for the viewer: the pipeline of `fovea segment`, on an image or on a window of it.
#include <chrono>
#include <utility>

#include "app/viewer/explore/torch_engine.h"
#include "core/base/model_folder.h"
#include "core/segment/label_output.h"
#include "core/segment/outputs.h"
#include "core/segment/segment.h"

namespace fovea::explore {
namespace {

// A window of an image as an image of its own.
class WindowSource final : public ImageSource {
 public:
  WindowSource(std::unique_ptr<ImageSource> whole, const Rect& window) : whole_(std::move(whole)), window_(window), info_(whole_->info()) {
    info_.width = window.width;
    info_.height = window.height;
    info_.levels = {{window.width, window.height}};
    if (info_.georeference.geotransform) {
      info_.georeference = scaled_georeference(info_.georeference, static_cast<double>(window.x), static_cast<double>(window.y), 1);
    }
  }
  const ImageInfo& info() const override { return info_; }
  ImageU8 read_rgb(Rect rect, int) override { return whole_->read_rgb({rect.x + window_.x, rect.y + window_.y, rect.width, rect.height}); }
  ImageU8 read_valid(Rect rect, int) override {
    return whole_->read_valid({rect.x + window_.x, rect.y + window_.y, rect.width, rect.height});
  }

 private:
  std::unique_ptr<ImageSource> whole_;
  const Rect window_;
  ImageInfo info_;
};

class RowsSink final : public LabelSink {
 public:
  RowsSink(const Engine::ClassRows& rows, ImageOutputs* files) : rows_(rows), files_(files) {}
  void append(LabelRows rows) override {
    rows_(rows.classes);
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

Engine::SegmentSummary TorchEngine::segment(const SegmentRequest& request, const ClassRows& rows, Progress& progress,
                                            const std::stop_token& stop) {
  const auto start = std::chrono::steady_clock::now();
  progress.report("model", 0, 1);
  load(request.model, request.device);
  throw_if_stopped(stop);
  if (!model_->config().decoder)
    throw Error(ErrorKind::kModel, request.model + ": a backbone without a decoder cannot segment: choose another model");
  auto source = open_image(request.image);
  SegmentSummary summary{
      .model = summary_, .model_hash = {}, .area = {0, 0, source->info().width, source->info().height}, .class_pixels = {}, .files = {}};
  if (request.region_level0) {
    summary.area = cut_to(*request.region_level0, source->info());
    source = std::make_unique<WindowSource>(std::move(source), summary.area);
  }
  std::unique_ptr<ImageOutputs> files;
  if (!request.mask_stem.empty()) {
    files = std::make_unique<ImageOutputs>(ImageOutputs::Subject{.image = request.image, .stem = request.mask_stem}, OutputChoice{},
                                           *source, model_->config());
  }
  RowsSink sink(rows, files.get());
  LabelOutput labels(*source, model_->config(), sink);
  try {
    segment_image(*source, *model_, {}, labels, progress, stop);
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
  if (request.model != "given") summary.model_hash = model_hash(find_model(request.model));
  summary.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return summary;
}

}  // namespace fovea::explore
