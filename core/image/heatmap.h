// Values on a grid as pictures: perceptual colours, a bar that says what they mean, the image underneath.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/image/float_writer.h"
#include "core/image/image.h"

namespace fovea {

// Perceptually uniform maps, readable in grey and (cividis, Nunez et al. 2018) with colour-blind eyes. The tables are those of OpenCV
// (Apache-2.0), which took them from Matplotlib (CC0).
enum class ColourMap { kViridis, kMagma, kCividis };
ColourMap parse_colour_map(std::string_view name);   // Error{kUsage}

// Of the first and the last colour; low may lie above high: then small values are bright.
struct ValueRange { double low = 0, high = 1; };

// How values run along the colours: evenly, or by their logarithm (then the range must lie above 0; what is not above 0 takes the first
// colour). Attention is often spread over orders of magnitude.
enum class ColourScale { kLinear, kLogarithmic };
ColourScale parse_colour_scale(std::string_view name);   // linear, log; Error{kUsage}

// From the low to the high percentile (0 ... 100, linear between order statistics) of the finite values; {0, 1} if there are none.
ValueRange percentile_range(std::span<const float> values, double low_percent, double high_percent);

// [H, W, 3]; values outside the range take its ends' colours, values that are no numbers are black.
ImageU8 colour_values(const ImageF32& values, const ValueRange& range, ColourMap map, ColourScale scale = ColourScale::kLinear);

// The set without its connected parts (cells that share a side) of fewer than `smallest` cells, and without holes as small: a contour that
// can be read where a threshold cuts through noise. smallest: at least 1.
ImageU8 without_specks(const ImageU8& inside, std::int64_t smallest);

// A set of cells whose border is drawn: where `inside` is not 0.
struct Outline { ImageU8 inside{}; std::string name{}; };

struct HeatmapOptions {
  ValueRange range{};
  ColourMap map = ColourMap::kViridis;
  ColourScale scale = ColourScale::kLinear;
  float opacity = 0.6f;                  // of the colours over the image, which is grey so that it adds no hue to them
  std::string caption{};                 // below the picture, in as many lines as it needs
  std::string unit{};                    // of the bar's numbers
  std::vector<Rect> marks{};             // outlined in white and black: what was asked about, in pixels of rgb
  ImageU8 chosen{};                      // likewise, cell by cell: as large as the values, where not 0
  std::vector<Outline> outlines{};       // each as large as the values; blue, pink, orange
};

// The image with the values laid over it (each grid cell a flat square: nothing is interpolated), a colour bar and a caption. values may
// be coarser than rgb; it is stretched over it. [H + margins, W + margins, 3].
ImageU8 draw_heatmap(const ImageU8& rgb, const ImageF32& values, const HeatmapOptions& options);

// rgb under a caption, without a bar.
ImageU8 draw_captioned(const ImageU8& rgb, const std::string& caption, const std::vector<Rect>& marks);

// Panels of one size, row by row, each with its label, one range for all, and a bar. Marks are in cells of the values.
struct WallPanel { ImageF32 values{}; std::string label{}; };
ImageU8 draw_wall(const std::vector<WallPanel>& panels, std::int64_t columns, std::int64_t panel_pixels, const HeatmapOptions& options);

}  // namespace fovea
