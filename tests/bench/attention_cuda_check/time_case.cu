// Timings: L2 flushed before every run, CUDA events around the call, everything of the call counted.
#include <algorithm>
#include <chrono>
#include <functional>
#include <vector>

#include "tensors.cuh"

namespace fovea::check {
namespace {

constexpr int kRuns = 21;
constexpr std::size_t kFlushBytes = std::size_t(256) << 20;
constexpr double kBytesPerSecond = 3.0e12;      // what a copy reaches on an H100, and below a large bfloat16 product; others scale
constexpr double kFlopsPerSecond = 8.0e14;

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

// Keys that a query of an axis meets, summed over the axis.
double keys_along(std::int64_t extent, int window, std::int64_t dilation) {
  double keys = 0;
  const std::int64_t radius = (window - 1) / 2;
  for (std::int64_t i = 0; i < extent; ++i) keys += 1 + std::min(radius, i / dilation) + std::min(radius, (extent - 1 - i) / dilation);
  return keys;
}

// Operations of Q K^T and P V on pairs that the definition names.
double forward_flops(const Case& c) {
  const kernels::AttentionShape& s = c.shape;
  double pairs = 0;
  for (const std::int32_t d : c.dilation)
    pairs += keys_along(s.grid_height, s.window_height, d) * keys_along(s.grid_width, s.window_width, d) +
             double(s.global_tokens) * (2 * s.tokens() - s.global_tokens);
  return 4.0 * s.batch * s.head_dim * pairs;
}

// Microseconds of the host for a call, the device idle before and busy after.
template <class Run>
double host_us(Run run) {
  constexpr int kCalls = 50;
  require_cuda(cudaDeviceSynchronize(), "synchronise");
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < kCalls; ++i) run();
  const double us = std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count() / kCalls;
  require_cuda(cudaDeviceSynchronize(), "synchronise");
  return us;
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
  const auto run_forward = [&] { require_cuda(backend.forward(forward, out.workspace.data(), nullptr), "forward"); };
  const Times f = measure(run_forward);
  const double floor_ms = std::max(4 * tensor_bytes / kBytesPerSecond, forward_flops(c) / kFlopsPerSecond) * 1e3;
  std::printf("%-8s %s\n    forward  floor %.3f  median %.3f  p10 %.3f  p90 %.3f ms  share of floor %.0f %%  workspace %.2f MB  "
              "host %.0f us\n",
              backend.name, describe(c).c_str(), floor_ms, f.median, f.p10, f.p90, 100 * floor_ms / f.median, forward_mb,
              host_us(run_forward));
  const kernels::AttentionBackward backward = backward_of(c, in, out);
  if (backend.backward_unsupported(backward, capability)) return;
  out.workspace = DeviceBuffer(backend.backward_workspace_bytes(backward));
  const Times b = measure([&] { require_cuda(backend.backward(backward, out.workspace.data(), nullptr), "backward"); });
  std::printf("    backward floor %.3f  median %.3f  p10 %.3f  p90 %.3f ms  workspace %.2f MB\n",
              8 * tensor_bytes / kBytesPerSecond * 1e3, b.median,
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
