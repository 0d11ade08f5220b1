// The pictures of `fovea attend`: an answer's colours over the image, a bar, a caption.
#pragma once

#include <string>
#include <vector>

#include "app/cli/attend_question.h"
#include "core/image/heatmap.h"

namespace fovea::cli {

ImageF32 to_image(const torch::Tensor& plane);   // [H, W] float32 on the CPU

// Every cell `patch` pixels wide and high, cut to width x height (cells at the right and bottom edge may stick out of the image), and seen
// at another size without interpolation.
template <class Sample>
BasicImage<Sample> spread_cells(const BasicImage<Sample>& cells, std::int64_t patch, const Rect& pixels, std::int64_t width,
                                std::int64_t height) {
  BasicImage<Sample> image(width, height, cells.channels());
  const auto cell = [&](std::int64_t place, std::int64_t size, std::int64_t extent) {
    return (2 * place + 1) * extent / (2 * size) / patch;
  };
  for (std::int64_t y = 0; y < height; ++y) {
    const Sample* from = cells.row(cell(y, height, pixels.height));
    for (std::int64_t x = 0; x < width; ++x) {
      std::copy_n(from + cell(x, width, pixels.width) * cells.channels(), cells.channels(), image.row(y) + x * cells.channels());
    }
  }
  return image;
}

// How values become colours, from the command line.
struct PictureStyle {
  ColourMap map = ColourMap::kViridis;
  ColourScale scale = ColourScale::kLinear;
  double clip = 99.5;                           // percentile
  std::optional<std::array<double, 2>> range;   // fixed
  double opacity = 0.6;
  std::int64_t size = 1600;                     // pixels: the longer side
};
// Error{kUsage}: a range that is empty, or not above 0 on a logarithmic scale.
PictureStyle style_of(const AttendRequest& request);

// What gives the range of a picture: the command line, percentiles of the numbers that the answer touches, or, of a field, its bounds, the
// strongest tokens bright.
struct PictureRange {
  ValueRange values{};
  std::string from{};   // "fixed", "percentile 99.5", "bounds"
  std::string text() const;   // "colours from 0 to 0.1 (fixed)"
};
PictureRange range_of(const PictureStyle& style, const torch::Tensor& plane);
PictureRange range_of(const PictureStyle& style, const std::string& method, const analysis::Answer& answer);

// "row at 1140,1030, layer 8, mean of heads"
std::string caption_of(const AttendQuestion& question, bool all_heads);

// .png, else JPEG.
void write_picture(const std::string& path, const ImageU8& picture);

struct PictureSubject {
  const ImageU8& rgb;     // the pixels of the image that the answer covers
  std::int64_t patch;
  std::string caption;
};
ImageU8 draw_answer(const analysis::Answer& answer, const PictureSubject& subject, const PictureStyle& style, const ValueRange& range);
ImageU8 draw_colours(const analysis::Answer& answer, const PictureSubject& subject, const PictureStyle& style);

}  // namespace fovea::cli
