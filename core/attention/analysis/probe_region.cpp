#include "core/attention/analysis/probe_region.h"

#include <algorithm>
#include <cmath>

#include "core/base/error.h"
#include "core/base/host_memory.h"

namespace fovea::analysis {
namespace {

bool has_dense_layer(const EncoderConfig& encoder) {
  return std::any_of(encoder.attention.begin(), encoder.attention.end(), [](const auto& layer) { return layer.dense; });
}

std::string gigabytes(std::int64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.1f GB", static_cast<double>(bytes) / 1e9);
  return text;
}

}  // namespace

std::array<std::int64_t, 2> halo_tokens(const EncoderConfig& encoder) {
  std::array<std::int64_t, 2> halo{0, 0};
  for (const auto& layer : encoder.attention) {
    if (layer.dense) continue;
    const auto dilation = *std::max_element(layer.dilation.begin(), layer.dilation.end());
    for (std::size_t axis = 0; axis < 2; ++axis) halo[axis] += dilation * ((layer.window[axis] - 1) / 2);
  }
  return halo;
}

std::string region_caveat(const EncoderConfig& encoder, GlobalsFrom globals) {
  if (has_dense_layer(encoder)) return "dense layers saw the region alone";
  if (encoder.positions == Positions::kLearned) return "learned positions are those of an image of the region's size";
  if (encoder.global_tokens > 0 && globals == GlobalsFrom::kRegion) return "global tokens saw the region and its halo alone";
  return "";
}

std::int64_t probe_bytes(const EncoderConfig& encoder, std::int64_t tokens, torch::Dtype dtype) {
  // Kept: the residual stream before every block and after the last, q and k of every layer. In passing: q, k, v, MLP, their sums.
  const auto channels = (encoder.depth + 1) * encoder.width + 2 * encoder.depth * encoder.width + 6 * encoder.width + 2 * encoder.mlp_width;
  return tokens * channels * static_cast<std::int64_t>(torch::elementSize(dtype));
}

std::int64_t largest_side_that_fits(const EncoderConfig& encoder, std::int64_t bytes, torch::Dtype dtype) {
  const auto tokens = static_cast<double>(bytes) / static_cast<double>(probe_bytes(encoder, 1, dtype));
  return static_cast<std::int64_t>(std::sqrt(std::max(tokens, 0.0))) * encoder.patch;
}

void require_fits(const SegmentationModel& model, std::int64_t tokens, const std::string& name) {
  if (!model.device().is_cpu()) return;   // a GPU says itself what it cannot hold
  const auto& encoder = model.config().encoder;
  const auto needed = probe_bytes(encoder, tokens, model.dtype()), free = available_host_memory();
  if (needed <= free) return;
  const auto side = std::to_string(largest_side_that_fits(encoder, free, model.dtype()));
  throw Error(ErrorKind::kEnvironment, name + ": layers of " + std::to_string(tokens) + " tokens need " + gigabytes(needed) + ", " +
                                           gigabytes(free) + " are free: a crop of " + side + " x " + side + " pixels would fit");
}

}  // namespace fovea::analysis
