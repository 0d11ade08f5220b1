#include "core/segment/whole_image.h"

#include <algorithm>
#include <optional>

#include "core/segment/device_work.h"
#include "core/segment/label_tensors.h"
#include "core/segment/read_ahead.h"
#include "core/segment/stage_clock.h"

namespace fovea {
namespace {

constexpr double kEncoderShare = 0.85;   // of the time of typical models, for the progress display only

// Token rows [begin, end) that a step of the decoder labels, and [first, last) that it looks at for them.
struct DecoderStep {
  std::int64_t begin = 0, end = 0, first = 0, last = 0;
};

std::vector<DecoderStep> decoder_steps(std::int64_t rows, std::int64_t wanted_rows, const Decoder& decoder) {
  const std::int64_t alignment = decoder.row_alignment(), height = (wanted_rows + alignment - 1) / alignment * alignment;
  std::vector<DecoderStep> steps;
  for (std::int64_t begin = 0; begin < rows; begin += height) {
    const std::int64_t end = std::min(begin + height, rows);
    steps.push_back({begin, end, std::max<std::int64_t>(0, begin - decoder.halo_rows()), std::min(rows, end + decoder.halo_rows())});
  }
  return steps;
}

std::vector<Rect> decoder_windows(const ImageInfo& image, std::int64_t patch, const std::vector<DecoderStep>& steps) {
  std::vector<Rect> windows;
  for (const DecoderStep& step : steps) windows.push_back(pixels_of_rows(image, patch, step.first, step.last - step.first));
  return windows;
}

}  // namespace

StageSeconds infer_whole_image(ImageSource& source, SegmentationModel& model, const WholeImageBands& bands,
                               const WholeImageCallbacks& callbacks, const std::stop_token& stop) {
  const torch::InferenceMode no_gradients;
  StageClock clock;
  const auto charge = [&](const char* stage) {
    finish_device_work(model.device());
    clock.charge(stage);
  };
  WholeImageEncoder encoder(source, model, bands);
  encoder.tokenize(stop);
  charge("tokens");
  encoder.run([&](double share) { callbacks.progress(kEncoderShare * share); }, stop);
  charge("encoder");
  Decoder& decoder = *model.decoder();
  const ImageInfo& image = source.info();
  const std::int64_t patch = model.config().encoder.patch;
  const auto steps = decoder_steps(encoder.rows(), bands.decoder_rows, decoder);
  std::optional<ReadAhead> reader;
  if (!bands.keep_pixels) reader.emplace(source, decoder_windows(image, patch, steps), model.device());
  for (const DecoderStep& step : steps) {
    throw_if_stopped(stop);
    const Rect window = pixels_of_rows(image, patch, step.first, step.last - step.first);
    const auto pixels = model.preprocess(reader ? reader->next() : encoder.pixels().narrow(2, window.y, window.height));
    charge("read_wait");
    const auto padded = decoder.decode(encoder.fused(step.first, step.last - step.first), pixels);
    const std::int64_t pixel_rows = std::min(step.end * patch, image.height) - step.begin * patch;
    const auto logits = padded.squeeze(0).narrow(1, (step.begin - step.first) * patch, pixel_rows).narrow(2, 0, image.width);
    const auto wide = logits.to(torch::kFloat32);
    charge("decoder");
    callbacks.logits(wide);
    charge("labels");
    callbacks.progress(kEncoderShare + (1 - kEncoderShare) * static_cast<double>(step.end) / static_cast<double>(encoder.rows()));
  }
  auto seconds = clock.seconds();
  seconds["tokens"] -= encoder.read_times().wait;
  seconds["read_wait"] += encoder.read_times().wait;   // the thread that computes had nothing to compute
  seconds["read"] = encoder.read_times().busy + (reader ? reader->busy_seconds() : 0);
  return seconds;
}

StageSeconds segment_whole_image(ImageSource& source, SegmentationModel& model, const WholeImageBands& bands, const LabelTaker& labels,
                                 const std::stop_token& stop) {
  const double pixels = static_cast<double>(source.info().width) * static_cast<double>(source.info().height);
  double write_seconds = 0;
  const auto take = [&](const torch::Tensor& logits) {
    const bool wanted = labels.probabilities == Probabilities::kEveryClass;
    LabelRows rows = label_rows(logits, wanted ? logits.softmax(0) : torch::Tensor());
    StageClock clock;
    labels.sink.append(std::move(rows));
    clock.charge("write");
    write_seconds += clock.seconds().at("write");
  };
  const auto report = [&](double share) {
    labels.progress.report("segment", static_cast<std::int64_t>(share * pixels), static_cast<std::int64_t>(pixels));
  };
  StageSeconds seconds = infer_whole_image(source, model, bands, {.logits = take, .progress = report}, stop);
  seconds["labels"] -= write_seconds;
  seconds["write_wait"] = write_seconds;
  return seconds;
}

}  // namespace fovea
