// What is drawn over the picture beside the maps: the encoded region, the chosen tokens, their window, contours, markers, the colour bar.
#pragma once

#include <optional>
#include <vector>

#include "app/viewer/canvas/tool.h"
#include "app/viewer/explore/explorer.h"
#include "app/viewer/layers/heat_layer.h"

namespace fovea::explore {

class CanvasMarks {
 public:
  explicit CanvasMarks(Explorer& explorer) : explorer_(explorer) {}

  // heat: the layer whose colours the bar explains; nullptr: no bar.
  void paint(const CanvasPainter& painter, const HeatLayer* heat);

 private:
  // Outlines cost a pass over the plane: made when their plane changes, kept between frames.
  struct Contour {
    const Reply* reply = nullptr;
    float threshold = 0;
    std::vector<GridLine> lines;
  };
  // The same of tokens that a brush or a lasso chose.
  struct ChosenOutline {
    std::vector<BrushToken> of;
    TokenBox place;
    std::vector<GridLine> lines;
  };
  void paint_tokens(const CanvasPainter& painter, const Encoded& encoded);
  void paint_field(const CanvasPainter& painter, const Encoded& encoded);
  void paint_outliers(const CanvasPainter& painter, const Encoded& encoded);
  float paint_bar(const CanvasPainter& painter, const HeatLayer* heat, ImVec2 corner, float width);   // returns its height
  void paint_waiting(const CanvasPainter& painter, ImVec2 corner);

  Explorer& explorer_;
  std::vector<Contour> contours_;
  ChosenOutline chosen_;
  std::optional<double> waiting_since_s_;
};

// A bar of colours with the values at its ends and in its middle; caption above, unit below. Returns its size, caption included.
struct ColourBar {
  ColourTable colours = ColourTable::kViridis;
  double low = 0, high = 1;
  const char* caption = "";
  const char* unit = "";
};
ImVec2 colour_bar_size(const ColourBar& bar, float width);
void draw_colour_bar(ImDrawList& list, ImVec2 corner, float width, const ColourBar& bar);

// "row, layer 11, mean of heads": what a reply shows.
std::string title_of(const Question& question);

}  // namespace fovea::explore
