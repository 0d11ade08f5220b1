// How long work reports to whoever waits for it.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string_view>

#include "core/base/error.h"

namespace fovea {

// Receives progress from one worker thread at a time. Implementations must be cheap: they are called once a tile or a step.
class Progress {
 public:
  virtual ~Progress() = default;
  // Work done of a total, in the unit the caller documents (pixels for images, steps for training); stage names the current phase.
  virtual void report(std::string_view stage, std::int64_t done, std::int64_t total) = 0;
};

// For callers who do not watch.
class NoProgress final : public Progress {
 public:
  void report(std::string_view, std::int64_t, std::int64_t) override {}
};

// Throws Error{kCancelled} when a stop was requested.
inline void throw_if_stopped(const std::stop_token& stop) {
  if (stop.stop_requested()) throw Error(ErrorKind::kCancelled, "stopped");
}

}  // namespace fovea
