// The images that `fovea bench view` makes: the same pixels on every machine.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>

#include "app/viewer/workspace.h"

namespace fovea {

// A tiled RGB TIFF with overviews, side x side pixels. Errors: Error{kEnvironment}.
void write_bench_tiff(const std::filesystem::path& path, std::int64_t side);
// A JPEG of quality 90 with the detail of an aerial photograph: about 4 bits a pixel.
void write_bench_jpeg(const std::filesystem::path& path, std::int64_t width, std::int64_t height);

// Four overlays over the open image: a class map, attention and kept mass as heat maps, features as colours.
void add_bench_overlays(Workspace& workspace);

}  // namespace fovea
