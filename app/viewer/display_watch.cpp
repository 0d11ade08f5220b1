#include "app/viewer/display_watch.h"

#include <dlfcn.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <thread>

namespace fovea {
namespace {

constexpr int kEnvironmentCode = 3;            // of exit codes

Viewer* running = nullptr;
std::thread::id running_on;

// Xlib's last call: it ends the process, whatever is done here.
int display_is_gone(void*) {
  // On another thread what was kept a second after the last change has to do.
  if (running && std::this_thread::get_id() == running_on) running->keep_unsaved();
  std::fputs("the display is gone: its session or its server ended; what was not saved is offered at the next start\n", stderr);
  std::_Exit(kEnvironmentCode);
}

}  // namespace

DisplayWatch::DisplayWatch(Viewer& viewer) {
  running = &viewer;
  running_on = std::this_thread::get_id();
  std::signal(SIGPIPE, SIG_IGN);               // Xlib is to learn it from what write() returns
  // GLFW has loaded the library; nothing links it.
  using Handler = int (*)(void*);
  void* xlib = ::dlopen("libX11.so.6", RTLD_NOW | RTLD_NOLOAD);
  const auto set = xlib ? reinterpret_cast<Handler (*)(Handler)>(::dlsym(xlib, "XSetIOErrorHandler")) : nullptr;
  if (set) set(display_is_gone);
}

DisplayWatch::~DisplayWatch() { running = nullptr; }

}  // namespace fovea
