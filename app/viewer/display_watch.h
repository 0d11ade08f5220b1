// What the program does when the connection to the display breaks: a remote session that ended, an X server that is gone.
#pragma once

#include "app/viewer/viewer.h"

namespace fovea {

// As long as it lives, that ends the process with one line and exit code 3, and what was not saved is offered at the next start. Without it
// Xlib ends it with code 1 and words of its own. One at a time, on the main thread, while a window is open.
class DisplayWatch {
 public:
  explicit DisplayWatch(Viewer& viewer);
  ~DisplayWatch();
  DisplayWatch(const DisplayWatch&) = delete;
  DisplayWatch& operator=(const DisplayWatch&) = delete;
};

}  // namespace fovea
