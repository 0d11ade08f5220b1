// Entropy and distance of every head by layer; a click on a dot shows that head.
#pragma once

#include <vector>

#include "app/viewer/explore/explorer.h"

namespace fovea::explore {

class PlotsPanel {
 public:
  explicit PlotsPanel(Explorer& explorer) : explorer_(explorer) {}
  void show();

 private:
  void mark_shown(std::vector<double> Reply::* by_head, double step) const;
  void show_plot(const char* title, std::vector<double> Reply::* by_head, float width);
  Explorer& explorer_;
};

}  // namespace fovea::explore
