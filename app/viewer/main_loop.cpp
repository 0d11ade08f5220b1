#include "app/viewer/main_loop.h"

namespace fovea {
namespace {

constexpr double kIdleWait_s = 0.5;            // an idle window looks twice a second whether files changed

void loop(Window& window, Viewer& viewer, const MainLoopOptions& options) {
  ContextRecovery recovery(window, viewer, options.patience);
  bool again = true;
  while (!window.should_close()) {
    window.poll(again ? 0 : kIdleWait_s);
    if (options.interrupted && options.interrupted()) return;   // the window's end keeps what was not saved
    recovery.look();
    window.begin_frame();
    again = viewer.frame();
    window.render();
    if (options.drawn && !options.drawn()) return;
    window.present();
  }
}

}  // namespace

void run_main_loop(Window& window, Viewer& viewer, const MainLoopOptions& options) {
  try {
    loop(window, viewer, options);
  } catch (...) {
    viewer.keep_unsaved();
    throw;
  }
}

}  // namespace fovea
