#include "core/segment/segment.h"

#include <algorithm>

#include "core/segment/device_work.h"
#include "core/segment/memory_plan.h"
#include "core/segment/tiles_context.h"
#include "core/segment/whole_image.h"

namespace fovea {
namespace {

MemoryAvailable available_memory(const SegmentOptions& options, torch::Device device) {
  MemoryAvailable available{.host = available_host_memory()};
  if (options.max_memory_bytes > 0) {
    available.host_in_use = resident_memory();
    available.host = std::min(available.host, options.max_memory_bytes - available.host_in_use);
  }
  available.device_free = static_cast<std::int64_t>(options.device_share * static_cast<double>(device_memory(device).free));
  return available;
}

WholeImageBands bands_of(const MemoryPlan& plan, const SegmentationModel& model) {
  WholeImageBands bands{.token_rows = plan.token_rows, .encoder_rows = plan.encoder_rows, .decoder_rows = plan.decoder_rows};
  if (plan.stream_home == MemoryHome::kDevice) bands.stream_home = model.device();
  bands.keep_pixels = plan.keep_pixels;
  if (plan.stream_element_bytes < static_cast<std::int64_t>(c10::elementSize(model.dtype()))) bands.stream_dtype = torch::kBFloat16;
  return bands;
}

}  // namespace

SegmentContext context_for(const ModelConfig& config, SegmentContext wanted) {
  if (wanted != SegmentContext::kAuto) return wanted;
  return whole_image_unsupported(config) == nullptr ? SegmentContext::kImage : SegmentContext::kTiles;
}

StageSeconds segment_image(ImageSource& source, SegmentationModel& model, const SegmentOptions& options, LabelSink& sink,
                           Progress& progress, const std::stop_token& stop) {
  if (model.decoder() == nullptr) throw Error(ErrorKind::kModel, model.config().name + ": a backbone without a decoder cannot segment");
  if (context_for(model.config(), options.context) == SegmentContext::kTiles) {
    return segment_by_tiles(source, model, options, sink, progress, stop);
  }
  if (const char* reason = whole_image_unsupported(model.config())) {
    throw Error(ErrorKind::kUsage, model.config().name + ": no whole-image inference, because " + reason + "; use --context tiles");
  }
  const auto classes = static_cast<std::int64_t>(model.config().classes.size());
  const MemoryPlanRequest request{.available = available_memory(options, model.device()),
                                  .element_bytes = static_cast<std::int64_t>(c10::elementSize(model.dtype())),
                                  .band_memory_bytes = options.band_memory_bytes,
                                  .piece_tokens = TokenPieces::tokens_of(model.device()),
                                  .label_bytes_a_pixel = options.probabilities == Probabilities::kNone ? 1 : 1 + classes};
  const MemoryPlan plan = plan_whole_image(source.info(), model.config(), request);
  if (options.on_plan) options.on_plan(plan.text());
  const LabelTaker labels{.sink = sink, .probabilities = options.probabilities, .progress = progress};
  return segment_whole_image(source, model, bands_of(plan, model), labels, stop);
}

}  // namespace fovea
