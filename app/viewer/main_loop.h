// The program's loop: one frame after the other until its window is closed.
#pragma once

#include <functional>

#include "app/viewer/context_recovery.h"

namespace fovea {

struct MainLoopOptions {
  // Between a frame's drawing and its showing; false: this was the last one. Empty: on until the window is closed.
  std::function<bool()> drawn = {};
  // Asked before each frame, whatever woke the program.
  std::function<bool()> interrupted = {};
  ContextRecovery::Patience patience = {};
};

// Whatever error ends it, what was not saved is kept for the next start, and the error goes on to the caller.
void run_main_loop(Window& window, Viewer& viewer, const MainLoopOptions& options);

}  // namespace fovea
