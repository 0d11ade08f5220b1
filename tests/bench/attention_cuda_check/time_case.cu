// Timings: L2 flushed before every run, CUDA events around the call, everything of the call counted.
#include <algorithm>
#include <functional>
#include <vector>

#include "tensors.cuh"

namespace fovea::check {
namespace {

constexpr int kRuns = 21;
constexpr std::size_t kFlushBytes = std::size_t(256) << 20;
constexpr double kBytesPerSecond = 3.0e12;      // what a copy reaches on an H100; floors of other GPUs scale

struct Times {
  float median, p10, p90;
};

Times measure(const std::function<void()>& run) {
  static const DeviceBuffer flush(kFlushBytes);
  cudaEvent_t start, stop;
  require_cuda(cudaEventCreate(&start), "event"), require_cuda(cudaEventCreate(&stop), "event");
  std::vector<float> ms;
  for (int i = 0; i < kRuns + 2; ++i) {
    require_cuda(cudaMemsetAsync(flush.data(), i, kFlushBytes), "flush");
    require_cuda(cudaEventRecord(start), "event");
    run();
    require_cuda(cudaEventRecord(stop), "event");
    require_cuda(cudaEventSynchronize(stop), "timed run");
    float elapsed = 0.f;
    require_cuda(cudaEventElapsedTime(&elapsed, start, stop), "event");
    if (i >= 2) ms.push_back(elapsed);
  }
  cudaEventDestroy(start), cudaEventDestroy(stop);
  std::sort(ms.begin(), ms.end());
  return {ms[kRuns / 2], ms[kRuns / 10], ms[kRuns - 1 - kRuns / 10]};
}

template <class Element>
void time_with(const Case& c, const Backend& backend, int capability) {
  const Inputs<Element> in(c);
  Outputs out(c);
  const double tensor_bytes = double(c.shape.batch) * c.shape.tokens() * c.shape.heads * c.shape.head_dim * sizeof(Element);
  const kernels::AttentionForward forward = forward_of(c, in, out);
  if (const char* reason = backend.forward_unsupported(forward, capability)) {
    std::printf("%-8s %s: skipped: %s\n", backend.name, describe(c).c_str(), reason);
    return;
  }
  out.workspace = DeviceBuffer(backend.forward_workspace_bytes(forward));
  const double forward_mb = double(out.workspace.bytes()) * 1e-6;
  const Times f = measure([&] { require_cuda(backend.forward(forward, out.workspace.data(), nullptr), "forward"); });
  std::printf("%-8s %s\n    forward  floor %.3f  median %.3f  p10 %.3f  p90 %.3f ms  workspace %.2f MB\n", backend.name, describe(c).c_str(),
              4 * tensor_bytes / kBytesPerSecond * 1e3, f.median, f.p10, f.p90, forward_mb);
  const kernels::AttentionBackward backward = backward_of(c, in, out);
  if (backend.backward_unsupported(backward, capability)) return;
  out.workspace = DeviceBuffer(backend.backward_workspace_bytes(backward));
  const Times b = measure([&] { require_cuda(backend.backward(backward, out.workspace.data(), nullptr), "backward"); });
  std::printf("    backward floor %.3f  median %.3f  p10 %.3f  p90 %.3f ms  workspace %.2f MB\n", 8 * tensor_bytes / kBytesPerSecond * 1e3, b.median,
              b.p10, b.p90, double(out.workspace.bytes()) * 1e-6);
  std::fflush(stdout);
}

}  // namespace

void time_case(const Case& c, const Backend& backend, int compute_capability) {
  switch (c.dtype) {
    case kernels::DataType::kBFloat16: return time_with<__nv_bfloat16>(c, backend, compute_capability);
    case kernels::DataType::kFloat16: return time_with<__half>(c, backend, compute_capability);
    case kernels::DataType::kFloat32: return time_with<float>(c, backend, compute_capability);
  }
}

}  // namespace fovea::check
