#include "core/model/model_size.h"

namespace fovea {
namespace {

double linear(double in, double out) { return in * out + out; }
double norm(double width) { return 2 * width; }
double convolution(double in, double out) { return 9 * in * out + out; }
double convolution_block(double width) { return norm(width) + 2 * convolution(width, width); }

// core/model/block.h
double block(const EncoderConfig& encoder) {
  const auto width = static_cast<double>(encoder.width), mlp = static_cast<double>(encoder.mlp_width);
  const double attention = linear(width, 3 * width) + linear(width, width);
  return 2 * norm(width) + attention + linear(width, mlp) + linear(mlp, width) + (encoder.layer_scale ? 2 * width : 0);
}

// core/model/decoder.h
double decoder(const DecoderConfig& decoder, double encoder_width, double classes) {
  const auto width = static_cast<double>(decoder.width), half = static_cast<double>(decoder.stem_width), quarter = 2 * half;
  return static_cast<double>(decoder.layers.size()) * linear(encoder_width, width) + convolution_block(width) +   // taps, token_block
         convolution(3, half) + norm(half) + convolution(half, quarter) +                                         // stem
         linear(width, quarter) + convolution_block(quarter) + linear(quarter, half) + convolution_block(half) +
         norm(half) + convolution(half, 4 * classes);                                                             // head
}

}  // namespace

double parameter_count(const ModelConfig& config) {
  const EncoderConfig& encoder = config.encoder;
  const auto width = static_cast<double>(encoder.width), patch = static_cast<double>(encoder.patch);
  double count = 3 * patch * patch * width + width + static_cast<double>(encoder.global_tokens) * width;
  if (encoder.positions == Positions::kLearned) {
    count += static_cast<double>(encoder.position_grid[0]) * static_cast<double>(encoder.position_grid[1]) * width;
  }
  count += static_cast<double>(encoder.attention.size()) * block(encoder) + norm(width);
  if (config.decoder) count += decoder(*config.decoder, width, static_cast<double>(config.classes.size()));
  return count;
}

}  // namespace fovea
