// Which pixels `fovea attend` reads, and what that means for its answers.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "core/attention/analysis/query.h"
#include "core/base/torch.h"
#include "core/image/image_source.h"
#include "core/model/config.h"

namespace fovea::cli {

struct AttendRegion {
  Rect asked;            // in pixels of the image, aligned to patches
  Rect computed;         // with the halo, clipped to the image
  std::string caveat;    // why numbers differ from the whole image's; empty: they do not
  bool part = false;     // not the whole image
  bool global_pass = false;   // its global tokens are to be the whole image's (core/attention/analysis/global_pass.h)
};

// The caveat of one question about it, which may have one of its own.
std::string caveat_of(const AttendRegion& region, const analysis::Query& query, const EncoderConfig& encoder);

// halo_factor: analysis::MethodInfo::halo. Error{kUsage} "NAME: region ...".
struct RegionQuestion {
  std::optional<std::array<std::int64_t, 4>> region;   // x, y, width, height; the whole image if not given
  int halo_factor = 1;
  std::string halo = "method";   // method: halo_factor times the reach of all layers; model: once; layer: of the widest; none
  bool whole_globals = true;                           // if the model allows it
  std::string name;                                    // of the image, for errors
};
AttendRegion plan_region(const ImageInfo& image, const EncoderConfig& encoder, const RegionQuestion& question);

// RGB of a window as [3, H, W] uint8.
torch::Tensor to_tensor(const ImageU8& rgb);

}  // namespace fovea::cli
