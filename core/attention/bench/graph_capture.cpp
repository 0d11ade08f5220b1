#include "core/attention/bench/graph_capture.h"

#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <cuda_runtime_api.h>

#include <string>

#include "core/base/error.h"

namespace fovea::bench {
namespace {

void require_cuda(cudaError_t status, const char* what) {
  if (status != cudaSuccess) throw Error(ErrorKind::kEnvironment, std::string("CUDA: ") + what + ": " + cudaGetErrorString(status));
}

cudaStream_t native(const c10::Stream& stream) {
  const c10::impl::VirtualGuardImpl guard(stream.device_type());
  return static_cast<cudaStream_t>(guard.getStreamNativeHandle(stream));
}

c10::Stream new_stream(c10::Device device) {
  const c10::impl::VirtualGuardImpl guard(device.type());
  return guard.getStreamFromGlobalPool(device);
}

}  // namespace

std::string gpu_name(c10::Device device) {
  cudaDeviceProp properties{};
  require_cuda(cudaGetDeviceProperties(&properties, device.index()), "properties of the device");
  return properties.name;
}

CapturedGraph::CapturedGraph(c10::Device device, const std::function<void()>& run) : stream_(new_stream(device)) {
  const c10::StreamGuard guard(stream_);
  run();
  require_cuda(cudaStreamSynchronize(native(stream_)), "the run before a graph");
  cudaGraph_t graph = nullptr;
  require_cuda(cudaStreamBeginCapture(native(stream_), cudaStreamCaptureModeThreadLocal), "begin a graph");
  try {
    run();
  } catch (...) {
    cudaStreamEndCapture(native(stream_), &graph);
    throw;
  }
  require_cuda(cudaStreamEndCapture(native(stream_), &graph), "end a graph");
  cudaGraphExec_t executable = nullptr;
  const cudaError_t status = cudaGraphInstantiate(&executable, graph, 0);
  cudaGraphDestroy(graph);
  require_cuda(status, "instantiate a graph");
  executable_ = executable;
}

CapturedGraph::~CapturedGraph() { cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(executable_)); }

void CapturedGraph::replay() const {
  require_cuda(cudaGraphLaunch(static_cast<cudaGraphExec_t>(executable_), native(stream_)), "replay a graph");
}

}  // namespace fovea::bench
