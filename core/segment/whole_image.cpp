#include "core/segment/whole_image.h"

#include <algorithm>
#include <cstring>

#include "core/segment/label_output.h"
#include "core/segment/stage_clock.h"

namespace fovea {
namespace {

constexpr double kEncoderShare = 0.85;   // of the time of typical models, for the progress display only

}  // namespace

std::map<std::string, double> infer_whole_image(ImageSource& source, SegmentationModel& model, const WholeImageBands& bands,
                                                const WholeImageCallbacks& callbacks, const std::stop_token& stop) {
  const torch::InferenceMode no_gradients;
  StageClock clock;
  WholeImageEncoder encoder(source, model, bands);
  encoder.run([&](double share) { callbacks.progress(kEncoderShare * share); }, stop);
  clock.charge("encoder");
  const double encoder_read_seconds = encoder.read_seconds();
  Decoder& decoder = *model.decoder();
  const std::int64_t patch = model.config().encoder.patch, rows = encoder.fused().rows(), alignment = decoder.row_alignment();
  const std::int64_t step = (bands.decoder_rows + alignment - 1) / alignment * alignment;
  const std::int64_t image_width = source.info().width, image_height = source.info().height;
  for (std::int64_t begin = 0; begin < rows; begin += step) {
    throw_if_stopped(stop);
    const std::int64_t end = std::min(begin + step, rows);
    const std::int64_t first = std::max<std::int64_t>(0, begin - decoder.halo_rows()), last = std::min(rows, end + decoder.halo_rows());
    const auto padded = decoder.decode(encoder.fused().read(first, last - first), encoder.read_pixels(first, last - first));
    const std::int64_t pixel_rows = std::min(end * patch, image_height) - begin * patch;
    const auto logits = padded.squeeze(0).narrow(1, (begin - first) * patch, pixel_rows).narrow(2, 0, image_width).to(torch::kFloat32);
    clock.charge("decoder");
    callbacks.logits(logits);
    clock.charge("labels");
    callbacks.progress(kEncoderShare + (1 - kEncoderShare) * static_cast<double>(end) / static_cast<double>(rows));
  }
  auto seconds = clock.seconds();
  seconds["encoder"] -= encoder_read_seconds;
  seconds["decoder"] -= encoder.read_seconds() - encoder_read_seconds;
  seconds["read"] = encoder.read_seconds();
  return seconds;
}

SegmentResult segment_whole_image(ImageSource& source, SegmentationModel& model, const WholeImageBands& bands, LabelSink& sink,
                                  Progress& progress, const std::stop_token& stop) {
  const double pixels = static_cast<double>(source.info().width) * static_cast<double>(source.info().height);
  LabelOutput output(source, model.config(), sink);
  StageClock write_clock;
  double write_seconds = 0;
  const auto take = [&](const torch::Tensor& logits) {
    const auto labels = logits.argmax(0).to(torch::kUInt8).cpu().contiguous();
    ImageU8 classes(labels.size(1), labels.size(0), 1);
    std::memcpy(classes.samples().data(), labels.const_data_ptr<std::uint8_t>(), classes.samples().size());
    write_clock = StageClock();
    output.append(std::move(classes));
    write_clock.charge("write");
    write_seconds += write_clock.seconds().at("write");
  };
  const auto report = [&](double share) { progress.report("segment", static_cast<std::int64_t>(share * pixels), static_cast<std::int64_t>(pixels)); };
  auto seconds = infer_whole_image(source, model, bands, {.logits = take, .progress = report}, stop);
  SegmentResult result = output.result();
  seconds["labels"] -= write_seconds;
  seconds["write"] = write_seconds;
  result.stage_seconds = std::move(seconds);
  return result;
}

}  // namespace fovea
