// What goes wrong in torch, as something that a person can act on.
#pragma once

#include <c10/util/Exception.h>

#include <new>
#include <string>
#include <utility>

#include "core/base/error.h"

namespace fovea::explore {

// Runs work; errors of devices and of memory become Error{kEnvironment} with what to do. what: "encode", "segment".
template <class Work>
auto with_device_errors(const char* what, Work&& work) {
  try {
    return work();
  } catch (const c10::OutOfMemoryError&) {
    throw Error(ErrorKind::kEnvironment, std::string("the GPU's memory does not suffice: zoom in and ") + what + " a smaller part, or start with --device cpu");
  } catch (const std::bad_alloc&) {
    throw Error(ErrorKind::kEnvironment, std::string("the memory does not suffice: zoom in and ") + what + " a smaller part");
  } catch (const c10::Error& error) {
    const std::string text = first_line(error.what_without_backtrace());
    if (text.find("CUDA") == std::string::npos && text.find("cu") != 0) throw Error(ErrorKind::kEnvironment, text);
    throw Error(ErrorKind::kEnvironment, "the GPU does not answer any more (" + text + "): save what you need and start again, or with --device cpu");
  }
}

}  // namespace fovea::explore
