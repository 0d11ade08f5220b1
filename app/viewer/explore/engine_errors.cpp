#include "app/viewer/explore/engine_errors.h"

#include <ATen/DeviceAccelerator.h>
#include <c10/util/Exception.h>
#include <torch/cuda.h>

#include "core/base/device_error.h"
#include "core/base/memory_shortage.h"

namespace fovea::explore {
namespace {

// Whether the GPU answers at all: a refused call leaves it as it was, a fault in a kernel or a reset ends all of this process's work on it.
bool device_answers() {
  try {
    torch::cuda::synchronize();
    return true;
  } catch (const c10::Error&) {
    return false;
  }
}

std::string smaller(const std::string& what) {
  return what == "load" ? "take a smaller model or close other programs" : "zoom in and " + what + " a smaller part";
}

// What torch keeps of the GPU's memory for itself is then missing where torch does not allocate: in cuBLAS, in other programs.
void give_back_device_memory() {
  try {
    if (torch::cuda::is_available()) at::accelerator::emptyCache();
  } catch (const c10::Error&) {
    // the shortage is what a person is told
  }
}

DeviceFailure out_of_memory(const MemoryShortage& shortage, const std::string& what) {
  const std::string text = shortage.text + "; " + smaller(what);
  if (shortage.on_device) give_back_device_memory();
  if (shortage.on_device) return {Trouble::kDeviceMemory, text + ", or let the CPU do it"};
  return {Trouble::kMemory, text};
}

// text: of a call that failed.
DeviceFailure cuda_failure(const std::string& text) {
  if (device_answers()) return {Trouble::kNone, "the GPU refused to go on (" + text + "); try again, or let the CPU do it"};
  return {Trouble::kDeviceLost, "the GPU does not answer any more (" + text + "); from now on the CPU is used, start again to use the GPU"};
}

}  // namespace

DeviceFailure device_failure(const std::string& what) {
  if (const auto shortage = memory_shortage()) return out_of_memory(*shortage, what);
  try {
    throw;
  } catch (const DeviceError& error) {
    return cuda_failure(error.what());
  } catch (const Error& error) {
    const std::string text = error.what();
    // The pipeline tries again with less memory, then says so itself.
    return {text.find(kDeviceShortage) != text.npos ? Trouble::kDeviceMemory : Trouble::kNone, ""};
  } catch (const c10::Error& error) {
    const std::string text = first_line(error.what_without_backtrace());
    const bool of_device = text.find("CUDA") != text.npos || text.find("cu") == 0;
    return of_device ? cuda_failure(text) : DeviceFailure{Trouble::kNone, text};
  } catch (...) {
    return {};
  }
}

}  // namespace fovea::explore
