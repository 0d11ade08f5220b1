// Ctrl+Shift+P: type a few letters of what you want.
#pragma once

#include <string>
#include <vector>

#include "app/viewer/actions/action_table.h"

namespace fovea {

class CommandPalette {
 public:
  explicit CommandPalette(const ActionTable& actions) : actions_(actions) {}
  void open();
  // Once a frame.
  void show();

 private:
  struct Match {
    const Action* action;
    int score;
  };
  std::vector<Match> matches() const;
  const ActionTable& actions_;
  std::string typed_;
  int chosen_ = 0;
  bool opening_ = false;
};

}  // namespace fovea
