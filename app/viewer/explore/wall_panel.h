// The wall: every head of every layer for the chosen tokens. Hover shows a head on the picture, a click keeps it.
#pragma once

#include <vector>

#include "app/viewer/explore/explorer.h"
#include "app/viewer/explore/thumbnail.h"

namespace fovea::explore {

class WallPanel {
 public:
  explicit WallPanel(Explorer& explorer) : explorer_(explorer) {}
  void show();

 private:
  void show_cell(std::size_t panel, ImVec2 corner, float side);
  Explorer& explorer_;
  std::vector<Thumbnail> thumbnails_;   // layer * heads + head
};

}  // namespace fovea::explore
