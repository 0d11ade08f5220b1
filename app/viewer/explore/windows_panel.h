// Side by side: what the chosen token's row would be under other windows, with the share of dense attention that each keeps.
#pragma once

#include <array>

#include "app/viewer/explore/explorer.h"
#include "app/viewer/explore/thumbnail.h"

namespace fovea::explore {

class WindowsPanel {
 public:
  explicit WindowsPanel(Explorer& explorer) : explorer_(explorer) {}
  void show();

 private:
  Explorer& explorer_;
  std::array<Thumbnail, kComparedWindows.size()> thumbnails_;
};

}  // namespace fovea::explore
