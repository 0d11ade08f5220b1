#include "core/segment/bench/model_operations.h"

#include <algorithm>

namespace fovea {

OperationsAPixel operations_a_pixel(const ModelConfig& model) {
  const auto number = [](std::int64_t value) { return static_cast<double>(value); };
  const EncoderConfig& encoder = model.encoder;
  const DecoderConfig& decoder = *model.decoder;
  const double width = number(encoder.width), patch_area = number(encoder.patch * encoder.patch);
  const std::int64_t layers = *std::max_element(decoder.layers.begin(), decoder.layers.end());
  double token = 2 * 3 * patch_area * width;   // the patch embedding
  for (std::int64_t i = 0; i < layers; ++i) {
    const LayerAttention& attention = encoder.attention[static_cast<std::size_t>(i)];
    const double keys = number(attention.window[0] * attention.window[1] + encoder.global_tokens);
    token += 2 * 4 * width * width + 2 * 2 * width * number(encoder.mlp_width) + 2 * 2 * keys * width;
  }
  const double fused = number(decoder.width), half = number(decoder.stem_width), quarter = 2 * half, classes = number(static_cast<std::int64_t>(model.classes.size()));
  const auto convolution = [](double in, double out) { return 2 * 9 * in * out; };
  const double taps = number(static_cast<std::int64_t>(decoder.layers.size())) * 2 * width * fused;
  const double at_tokens = 2 * convolution(fused, fused) + taps + 2 * fused * quarter;
  const double at_quarter = convolution(half, quarter) + 2 * convolution(quarter, quarter) + 2 * quarter * half;
  const double at_half = convolution(3, half) + 2 * convolution(half, half) + convolution(half, 4 * classes);
  return {.encoder = token / patch_area, .decoder = at_tokens / patch_area + at_quarter / 16 + at_half / 4};
}

}  // namespace fovea
