#include "app/cli/attend_region.h"

#include <algorithm>

#include "core/attention/analysis/probe.h"
#include "core/attention/analysis/probe_region.h"

namespace fovea::cli {
namespace {

// Tokens, rows and columns.
std::array<std::int64_t, 2> reach_of_widest_layer(const EncoderConfig& encoder) {
  std::array<std::int64_t, 2> reach{0, 0};
  for (const LayerAttention& layer : encoder.attention) {
    if (layer.dense) continue;
    const auto dilation = *std::max_element(layer.dilation.begin(), layer.dilation.end());
    for (std::size_t axis = 0; axis < 2; ++axis) reach[axis] = std::max(reach[axis], dilation * ((layer.window[axis] - 1) / 2));
  }
  return reach;
}

}  // namespace

AttendRegion plan_region(const ImageInfo& image, const EncoderConfig& encoder, const RegionQuestion& question) {
  const Rect whole{0, 0, image.width, image.height};
  if (!question.region) return {whole, whole, "", false, false};
  const auto [x, y, width, height] = *question.region;
  if (x < 0 || y < 0 || width < 1 || height < 1 || x > image.width - width || y > image.height - height) {
    throw Error(ErrorKind::kUsage, question.name + ": region " + std::to_string(x) + "," + std::to_string(y) + "," +
                                       std::to_string(width) + "," + std::to_string(height) + " does not lie inside the image of " +
                                       std::to_string(image.width) + " x " + std::to_string(image.height) + " pixels");
  }
  const auto patch = encoder.patch;
  const auto halo = analysis::halo_tokens(encoder);
  // Along one axis: patches as the whole image has them, then the halo.
  const auto widen = [&](std::int64_t first, std::int64_t extent, std::int64_t image_extent, std::int64_t halo_of_axis) {
    const auto begin = std::max<std::int64_t>(0, first / patch - halo_of_axis) * patch;
    const auto end = std::min(image_extent, ((first + extent + patch - 1) / patch + halo_of_axis) * patch);
    return std::pair{begin, end - begin};
  };
  const auto place = [&](int factor) {
    const auto [left, columns] = widen(x, width, image.width, factor * halo[1]);
    const auto [top, rows] = widen(y, height, image.height, factor * halo[0]);
    return Rect{left, top, columns, rows};
  };
  AttendRegion region{.asked = place(0), .computed = place(question.halo == "method" ? question.halo_factor : 1), .caveat = ""};
  if (question.halo == "layer" || question.halo == "none") {
    const auto short_halo = question.halo == "none" ? std::array<std::int64_t, 2>{0, 0} : reach_of_widest_layer(encoder);
    const auto [left, columns] = widen(x, width, image.width, short_halo[1]);
    const auto [top, rows] = widen(y, height, image.height, short_halo[0]);
    region.computed = {left, top, columns, rows};
  }
  if (region.computed == whole) return region;
  region.part = true;
  region.global_pass = question.whole_globals && encoder.global_tokens > 0 && analysis::global_pass_unsupported(encoder).empty();
  region.caveat =
      analysis::region_caveat(encoder, region.global_pass ? analysis::GlobalsFrom::kWholeImage : analysis::GlobalsFrom::kRegion);
  const bool short_of = question.halo == "layer" || question.halo == "none" || (question.halo == "model" && question.halo_factor > 1);
  if (short_of && region.caveat.empty()) region.caveat = "the region's halo is shorter than what its layers look past it";
  return region;
}

std::string caveat_of(const AttendRegion& region, const analysis::Query& query, const EncoderConfig& encoder) {
  using analysis::Method;
  if (!region.part || !region.caveat.empty()) return region.caveat;
  switch (query.method) {
    case Method::kRollout: case Method::kRolloutFrom: case Method::kField:
      return encoder.global_tokens > 0 && query.paths == analysis::RolloutPaths::kAll
                 ? "what passes through global tokens is followed inside the region and its halo alone"
                 : "";
    case Method::kKeptMass: case Method::kVariation: case Method::kDivergence:
      return "dense attention is that of the region and its halo alone";
    case Method::kPattern: case Method::kChanged: return "both patterns saw the region and its halo alone";
    default: return query.tokens.global_token ? "a global token's numbers are over the region and its halo alone" : "";
  }
}

torch::Tensor to_tensor(const ImageU8& rgb) {
  const auto view =
      torch::from_blob(const_cast<std::uint8_t*>(rgb.samples().data()), {rgb.height(), rgb.width(), 3}, torch::kUInt8);  // only read
  return view.permute({2, 0, 1}).contiguous();
}

}  // namespace fovea::cli
