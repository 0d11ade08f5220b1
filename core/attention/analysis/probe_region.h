// A region of an image to be looked into: what it costs, and how far its numbers are those of the whole image.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "core/base/torch.h"
#include "core/model/segmentation_model.h"

namespace fovea::analysis {

// Grid tokens that the encoder's layers, all together, look past the token they compute: a region with this halo is computed exactly
// where nothing sees everything. Rows and rollouts from tokens of the region need no more.
std::array<std::int64_t, 2> halo_tokens(const EncoderConfig& encoder);   // rows, columns

// Why numbers of a region (with its halo, as an image of its own) differ from those of the whole image; empty if they do not. With
// kWholeImage the region has the whole image's global tokens (global_pass.h).
enum class GlobalsFrom { kRegion, kWholeImage };
std::string region_caveat(const EncoderConfig& encoder, GlobalsFrom globals = GlobalsFrom::kRegion);

// Bytes that probing an image of so many tokens keeps, and the side in pixels of the largest square that fits a budget.
std::int64_t probe_bytes(const EncoderConfig& encoder, std::int64_t tokens, torch::Dtype dtype);
std::int64_t largest_side_that_fits(const EncoderConfig& encoder, std::int64_t bytes, torch::Dtype dtype);

// Error{kEnvironment} unless probing so many tokens fits into the memory: "NAME: ...: a crop of 4060 x 4060 pixels would fit".
void require_fits(const SegmentationModel& model, std::int64_t tokens, const std::string& name);

}  // namespace fovea::analysis
