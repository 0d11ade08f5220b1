// Device memory for the checks: everything starts as NaN, and what lies on both sides of it must stay so.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "case.h"

namespace fovea::check {

inline void require_cuda(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  std::fprintf(stderr, "attention_cuda_check: %s: %s\n", what, cudaGetErrorString(error));
  std::exit(1);
}

constexpr std::size_t kGuardBytes = 4096;
constexpr int kPoison = 0xff;                   // every float of any width that consists of these bytes is NaN

static __global__ void count_changed(const unsigned char* bytes, std::size_t count, unsigned long long* changed) {
  for (std::size_t i = blockIdx.x * std::size_t(blockDim.x) + threadIdx.x; i < count; i += std::size_t(gridDim.x) * blockDim.x)
    if (bytes[i] != kPoison) atomicAdd(changed, 1ull);
}
static __global__ void count_different(const unsigned char* a, const unsigned char* b, std::size_t count, unsigned long long* different) {
  for (std::size_t i = blockIdx.x * std::size_t(blockDim.x) + threadIdx.x; i < count; i += std::size_t(gridDim.x) * blockDim.x)
    if (a[i] != b[i]) atomicAdd(different, 1ull);
}

class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  explicit DeviceBuffer(std::size_t bytes) : bytes_(bytes) {
    require_cuda(cudaMalloc(&all_, bytes + 2 * kGuardBytes), "cudaMalloc");
    require_cuda(cudaMemset(all_, kPoison, bytes + 2 * kGuardBytes), "cudaMemset");
  }
  DeviceBuffer(DeviceBuffer&& other) noexcept : all_(std::exchange(other.all_, nullptr)), bytes_(other.bytes_) {}
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept {
    std::swap(all_, other.all_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~DeviceBuffer() { cudaFree(all_); }

  template <class T = void>
  T* data() const { return reinterpret_cast<T*>(all_ + kGuardBytes); }
  std::size_t bytes() const { return bytes_; }

 private:
  unsigned char* all_ = nullptr;
  std::size_t bytes_ = 0;
};

// A number that kernels add to; read() waits for them.
class Counter {
 public:
  Counter() { require_cuda(cudaMalloc(&value_, 8), "cudaMalloc"), require_cuda(cudaMemset(value_, 0, 8), "cudaMemset"); }
  Counter(const Counter&) = delete;
  ~Counter() { cudaFree(value_); }
  unsigned long long* get() { return value_; }
  unsigned long long read() {
    unsigned long long value = 0;
    require_cuda(cudaMemcpy(&value, value_, 8, cudaMemcpyDeviceToHost), "kernel");
    return value;
  }

 private:
  unsigned long long* value_ = nullptr;
};

inline unsigned long long changed_guard_bytes(const DeviceBuffer& buffer) {
  Counter counter;
  const unsigned char* data = buffer.data<unsigned char>();
  count_changed<<<16, 256>>>(data - kGuardBytes, kGuardBytes, counter.get());
  count_changed<<<16, 256>>>(data + buffer.bytes(), kGuardBytes, counter.get());
  return counter.read();
}
inline unsigned long long different_bytes(const DeviceBuffer& a, const DeviceBuffer& b) {
  Counter counter;
  count_different<<<256, 256>>>(a.data<unsigned char>(), b.data<unsigned char>(), a.bytes(), counter.get());
  return counter.read();
}

struct Tensor {
  kernels::View<void*> view;
  kernels::ConstView as_const() const { return {view.data, view.batch_stride, view.token_stride, view.head_stride}; }
};

// `count` tensors of one order in one buffer.
class Tensors {
 public:
  Tensors(const kernels::AttentionShape& shape, int element_bytes, Order order, int count) {
    const std::int64_t n = shape.tokens(), d = shape.head_dim, heads = shape.heads;
    const bool packed = order == Order::kPacked, by_head = order == Order::kHeads;
    token_stride_ = by_head ? d : heads * d * (packed ? count : 1) + (order == Order::kPadded ? 32 : 0);
    head_stride_ = by_head ? n * d : d;
    batch_stride_ = by_head ? n * d * heads : n * token_stride_;
    step_ = (packed ? heads * d : shape.batch * batch_stride_) * element_bytes;
    buffer_ = DeviceBuffer(std::size_t(shape.batch * batch_stride_ * (packed ? 1 : count) * element_bytes));
  }
  Tensor operator[](int i) const { return {{buffer_.data<char>() + i * step_, batch_stride_, token_stride_, head_stride_}}; }
  const DeviceBuffer& buffer() const { return buffer_; }

 private:
  std::int64_t token_stride_, head_stride_, batch_stride_, step_;
  DeviceBuffer buffer_;
};

}  // namespace fovea::check
