// In builds without CUDA.
#include "core/attention/bench/graph_capture.h"
#include "core/base/error.h"

namespace fovea::bench {

std::string gpu_name(c10::Device device) { return device.str(); }

CapturedGraph::CapturedGraph(c10::Device device, const std::function<void()>&) : stream_(c10::Stream::DEFAULT, device) {
  throw Error(ErrorKind::kEnvironment, "CUDA graph: this build has no CUDA");
}
CapturedGraph::~CapturedGraph() = default;
void CapturedGraph::replay() const {}

}  // namespace fovea::bench
