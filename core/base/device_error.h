// A call of a GPU's runtime that failed, told apart from other errors by its type: the GPU refused it, or does not answer any more.
#pragma once

#include "core/base/error.h"

namespace fovea {

class DeviceError : public Error {
 public:
  enum class Cause { kMemory, kOther };
  DeviceError(Cause cause, const std::string& message) : Error(ErrorKind::kEnvironment, message), cause_(cause) {}
  Cause cause() const noexcept { return cause_; }

 private:
  Cause cause_;
};

}  // namespace fovea
