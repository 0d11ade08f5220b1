#include "core/attention/device_stream.h"

#include <c10/core/impl/VirtualGuardImpl.h>

namespace fovea {

void* current_device_stream(at::Device device) {
  const c10::impl::VirtualGuardImpl guard(device.type());
  return guard.getStreamNativeHandle(guard.getStream(device));
}

}  // namespace fovea
