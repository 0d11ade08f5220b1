// What benchmarks ask of CUDA itself: a call of torch's operators as a CUDA graph, the name of a GPU.
#pragma once

#include <c10/core/Stream.h>

#include <functional>
#include <string>

namespace fovea::bench {

std::string gpu_name(c10::Device device);

// Captures what run() launches on a stream of its own; call it to replay on that stream. run() has run there before, so that torch's
// allocator has the memory at hand. Errors: Error{kEnvironment} if something in it cannot be captured.
class CapturedGraph {
 public:
  CapturedGraph(c10::Device device, const std::function<void()>& run);
  ~CapturedGraph();
  CapturedGraph(const CapturedGraph&) = delete;
  CapturedGraph& operator=(const CapturedGraph&) = delete;

  c10::Stream stream() const { return stream_; }
  void replay() const;

 private:
  c10::Stream stream_;
  void* executable_ = nullptr;   // cudaGraphExec_t
};

}  // namespace fovea::bench
