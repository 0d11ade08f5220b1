// What goes wrong in torch, as something that a person can act on.
#pragma once

#include <functional>
#include <string>

#include "app/viewer/explore/types.h"
#include "core/base/error.h"

namespace fovea::explore {

// An exception of torch or of an allocator as a sentence with what to do.
struct DeviceFailure {
  Trouble trouble = Trouble::kNone;
  std::string text;                      // empty: none of them
};
// Called while the exception is handled. what: "encode", "segment", "load": of what a smaller part may fit.
DeviceFailure device_failure(const std::string& what);

// Runs work; such exceptions become Error{kEnvironment}, and trouble says of which kind they were.
template <class Work>
auto with_device_errors(const std::string& what, Trouble& trouble, Work&& work) {
  trouble = Trouble::kNone;
  try {
    return work();
  } catch (...) {
    const DeviceFailure failure = device_failure(what);
    trouble = failure.trouble;
    if (failure.text.empty()) throw;
    throw Error(ErrorKind::kEnvironment, failure.text);
  }
}

}  // namespace fovea::explore
