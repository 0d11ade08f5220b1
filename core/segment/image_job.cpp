#include "core/segment/image_job.h"

namespace fovea {

ImageJob::ImageJob(const OpenedImage& image, const OutputChoice& outputs, const ModelConfig& config)
    : image_(image), outputs_(image_.subject, outputs, *image_.source, config), output_(*image_.source, config, outputs_) {
  const ImageInfo &full = image_.source->info(), &seen = image_.for_model->info();
  if (seen.width != full.width || seen.height != full.height) {
    scaler_.emplace(LabelScaler::Size{seen.width, seen.height}, LabelScaler::Size{full.width, full.height});
  }
  record_.index = image_.index;
  record_.input = image_.subject.image;
  record_.outputs = outputs_.files();
  record_.model_extent = {seen.width, seen.height};
}

void ImageJob::append(LabelRows rows) {
  StageClock clock;
  if (scaler_) rows = scaler_->add(std::move(rows));
  if (rows.classes.height() > 0) output_.append(std::move(rows));
  clock.charge("write");
  write_seconds_ += clock.seconds().at("write");
}

void ImageJob::finish() {
  StageClock clock;
  outputs_.finish();
  clock.charge("finish");
  record_.counts = output_.counts();
  record_.stage_seconds["open"] = image_.open_seconds;
  record_.stage_seconds["decode"] = image_.decode_seconds();
  record_.stage_seconds["write"] = write_seconds_;
  record_.stage_seconds["finish"] = clock.seconds().at("finish");
}

}  // namespace fovea
