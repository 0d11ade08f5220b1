// What the program does when the graphics driver takes its OpenGL context away: another window, everything drawn anew, and a message.
#pragma once

#include <chrono>
#include <deque>

#include "app/viewer/viewer.h"
#include "app/viewer/window.h"

namespace fovea {

class ContextRecovery {
 public:
  struct Patience {
    int attempts = 20;                                 // a driver may need seconds to come back
    std::chrono::milliseconds between_attempts{500};
    std::size_t losses = 4;                            // so often in so short a time: it would go on like that
    std::chrono::seconds within{60};
  };
  ContextRecovery(Window& window, Viewer& viewer, const Patience& patience) : window_(window), viewer_(viewer), patience_(patience) {}
  ContextRecovery(Window& window, Viewer& viewer) : ContextRecovery(window, viewer, Patience{}) {}

  // Between two frames. Whether the context was lost; then there is another one, in which everything is still to be drawn.
  // Error{kEnvironment} where no other can be had, or none that stays: "the graphics driver was reset and ...".
  bool look();

 private:
  void renew();

  Window& window_;
  Viewer& viewer_;
  const Patience patience_;
  std::deque<std::chrono::steady_clock::time_point> lost_at_;
};

}  // namespace fovea
