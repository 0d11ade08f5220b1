// Foreign vision transformers as model folders. No torch in this header.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace fovea {

enum class ImportedPositions {
  kAsStored,       // learned, resized to the image's grid at run time (core/model/positions.h)
  kMeanAndRope,    // their mean becomes part of every patch token, and places are told by 2-D rotary embedding
};

struct ImportOptions {
  std::string name = "";                                // empty: the output folder's name
  std::string licence = "unknown";                      // of the weights, recorded in config.json
  std::optional<std::int64_t> heads = {};               // none: config.json beside the weights, else 64 channels a head
  std::optional<std::int64_t> patch = {};               // another patch size in pixels: kernels are resampled by least squares
  ImportedPositions positions = ImportedPositions::kAsStored;
  double rope_base = 100;                               // for kMeanAndRope
  std::optional<std::int64_t> global_tokens = {};       // at least as many as the source has; further ones start as small noise
  std::optional<std::array<std::int64_t, 2>> window = {};   // of all layers (height, width; odd); none: dense attention
  std::uint64_t seed = 0;                               // of that noise
};

struct ImportReport {
  std::string layout;                                   // "transformers Dinov2Model" or "timm VisionTransformer"
  std::int64_t parameters = 0;
  std::vector<std::string> left_out;                    // tensors that an encoder has no use for: classification heads, mask tokens
};

// source: a .safetensors file, or a folder with model.safetensors and, if it has them, transformers' or timm's config.json and
// preprocessor_config.json (heads, norm epsilon, mean and deviation). Writes a backbone (no decoder) in float32 to the folder output.
//
// Patch kernels are resampled so that they answer to a patch resized bilinearly, with anti-aliasing, as the old ones answer to the
// original: the pseudo-inverse of that resize (FlexiViT, Beyer et al. 2023).
//
// Errors: Error{kModel} "SOURCE: KEY: what was wrong" for a source that is neither layout, lacks a tensor or has one without place;
// Error{kUsage} for options that do not fit the source; Error{kEnvironment} when the output cannot be written.
ImportReport import_model(const std::filesystem::path& source, const std::filesystem::path& output, const ImportOptions& options);

}  // namespace fovea
