// Residual sum and LayerNorm in one pass: a warp a token, or several tokens if they are narrow; channels in registers.
#include "kernels/cuda/steps/elements.cuh"
#include "kernels/token_steps_cuda.h"

namespace fovea::kernels::cuda {
namespace {

using namespace steps;

constexpr int kWarps = 8;                   // of a thread block
constexpr int kVector = 4;                  // channels of a lane side by side
constexpr int kMaxWidth = 16 * 32 * kVector;

// Over neighbouring kLanes lanes.
template <int kLanes>
__device__ float sum_of_lanes(float x) {
#pragma unroll
  for (int step = kLanes / 2; step > 0; step /= 2) x += __shfl_xor_sync(~0u, x, step);
  return x;
}

// kLanes share a token. kParts: of a token, each kVector channels of every lane; the last may be incomplete.
template <class Element, int kLanes, int kParts>
__global__ void __launch_bounds__(32 * kWarps) residual_norm(const __grid_constant__ ResidualNorm step) {
  using Part = Pack<Element, kVector>;
  const std::int64_t wanted = std::int64_t(blockIdx.x) * (32 * kWarps / kLanes) + threadIdx.x / kLanes;
  const bool exists = wanted < step.count;
  const std::int64_t token = exists ? wanted : step.count - 1;   // lanes of a token that is not there take part in sums, and write nothing
  const int width = step.width, lane = int(threadIdx.x) % kLanes;
  const auto channel_of = [&](int part) { return (part * kLanes + lane) * kVector; };
  const auto vector_of = [&](const void* vector, int part) { return Part::load(static_cast<const Element*>(vector) + channel_of(part)); };
  Element* const stream = static_cast<Element*>(step.stream) + token * width;
  const Element* const branch = static_cast<const Element*>(step.branch) + (step.branch ? token * width : 0);

  float x[kParts][kVector];
  float sum = 0;
#pragma unroll
  for (int part = 0; part < kParts; ++part) {
    const bool inside = channel_of(part) < width;
    Part kept{}, added{}, scale{};
    if (inside) kept = Part::load(stream + channel_of(part));
    if (inside && step.branch) added = Part::load(branch + channel_of(part));
    if (inside && step.branch && step.scale) scale = vector_of(step.scale, part);
#pragma unroll
    for (int i = 0; i < kVector; ++i) {
      // What is normalised is what is kept: rounded.
      if (step.branch) kept.set(i, kept[i] + added[i] * (step.scale ? scale[i] : 1.f));
      x[part][i] = inside ? kept[i] : 0.f;
      sum += x[part][i];
    }
    if (inside && exists && step.branch) kept.store(stream + channel_of(part));
  }
  if (step.normalised == nullptr) return;
  const float mean = sum_of_lanes<kLanes>(sum) / float(width);
  float squares = 0;
#pragma unroll
  for (int part = 0; part < kParts; ++part) {
#pragma unroll
    for (int i = 0; i < kVector; ++i) squares += channel_of(part) < width ? (x[part][i] - mean) * (x[part][i] - mean) : 0.f;
  }
  const float inverse = rsqrtf(sum_of_lanes<kLanes>(squares) / float(width) + step.epsilon);
  Element* const normalised = static_cast<Element*>(step.normalised) + token * width;
#pragma unroll
  for (int part = 0; part < kParts; ++part) {
    if (channel_of(part) >= width || !exists) continue;
    const Part weight = vector_of(step.weight, part), bias = vector_of(step.bias, part);
    Part result;
#pragma unroll
    for (int i = 0; i < kVector; ++i) result.set(i, (x[part][i] - mean) * inverse * weight[i] + bias[i]);
    result.store(normalised + channel_of(part));
  }
}

template <class Element, int kLanes, int kParts>
cudaError_t launch(const ResidualNorm& step, cudaStream_t stream) {
  constexpr int kTokens = 32 * kWarps / kLanes;
  residual_norm<Element, kLanes, kParts><<<unsigned((step.count + kTokens - 1) / kTokens), 32 * kWarps, 0, stream>>>(step);
  return cudaGetLastError();
}

}  // namespace

const char* residual_norm_unsupported(const ResidualNorm& step) {
  if (step.width % kVector != 0) return "a width that is no multiple of 4";
  if (step.width > kMaxWidth) return "a width above 2048";
  return nullptr;
}

cudaError_t add_residual_and_normalise(const ResidualNorm& step, cudaStream_t stream) {
  if (step.count == 0) return cudaSuccess;
  return for_element(step.dtype, [&](auto element) {
    using Element = decltype(element);
    const int parts = (step.width + 32 * kVector - 1) / (32 * kVector);
    if (step.width <= 8 * kVector) return launch<Element, 8, 1>(step, stream);
    if (step.width <= 16 * kVector) return launch<Element, 16, 1>(step, stream);
    if (parts <= 1) return launch<Element, 32, 1>(step, stream);
    if (parts <= 2) return launch<Element, 32, 2>(step, stream);
    if (parts <= 3) return launch<Element, 32, 3>(step, stream);
    if (parts <= 6) return launch<Element, 32, 6>(step, stream);
    if (parts <= 8) return launch<Element, 32, 8>(step, stream);
    return launch<Element, 32, 16>(step, stream);
  });
}

}  // namespace fovea::kernels::cuda
