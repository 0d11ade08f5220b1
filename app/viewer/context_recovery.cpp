#include "app/viewer/context_recovery.h"

#include <string>
#include <thread>

#include "app/viewer/gl_context.h"
#include "core/base/error.h"

namespace fovea {
namespace {

constexpr const char* kWayOut =
    "close other programs that use the GPU, update its driver, or let the CPU draw: LIBGL_ALWAYS_SOFTWARE=1 fovea-view";

}  // namespace

bool ContextRecovery::look() {
  if (!gl::context_lost()) return false;
  const auto now = std::chrono::steady_clock::now();
  lost_at_.push_back(now);
  while (now - lost_at_.front() > patience_.within) lost_at_.pop_front();
  if (lost_at_.size() >= patience_.losses) {
    throw Error(ErrorKind::kEnvironment, "the graphics driver was reset " + std::to_string(lost_at_.size()) + " times within " +
                                             std::to_string(patience_.within.count()) + " s; " + kWayOut +
                                             "; what was not saved is offered there");
  }
  renew();
  viewer_.workspace().messages.error(
      "The graphics driver was reset, so the window was made anew; everything that was open is still there. If it happens again: " +
      std::string(kWayOut));
  return true;
}

// A context that is lost before anything was drawn in it is none: the driver is not back yet.
void ContextRecovery::renew() {
  window_.drop_context();
  for (int attempt = 1;; ++attempt) {
    try {
      window_.make_context();
      viewer_.context_renewed();
      if (gl::context_lost()) throw Error(ErrorKind::kEnvironment, "the driver resets every new context");
      return;
    } catch (const Error& error) {
      if (attempt >= patience_.attempts) {
        throw Error(ErrorKind::kEnvironment, "the graphics driver was reset and there is no other window to be had: " +
                                                 first_line(error.what()) + "; what was not saved is offered at the next start");
      }
    }
    window_.drop_context();
    std::this_thread::sleep_for(patience_.between_attempts);
  }
}

}  // namespace fovea
