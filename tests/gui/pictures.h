// The image files that the flows open.
#pragma once

#include <filesystem>

#include "core/image/image.h"

namespace fovea::gui {

// waves.png      320 x 240 colour waves
// blocks.png     1000 x 700; a block of 100 x 100 pixels a colour: block_colour()
// grey16.tif     300 x 200, 16 bits, samples 0 to 999 rising from left to right
// map.tif        600 x 400 with a georeference: origin 500000, 4600000, half a metre a pixel
// garbage.png    no image, broken.jpg: the first half of one
void write_pictures(const std::filesystem::path& folder);

struct Rgb {
  int red, green, blue;
};
Rgb block_colour(std::int64_t column, std::int64_t row);

}  // namespace fovea::gui
