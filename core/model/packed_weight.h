// The weights of a linear layer in the layout that the CPU's matrix instructions read.
#pragma once

#include <cstdint>
#include <mutex>

#include "core/base/torch.h"

namespace fovea {

enum class Activation { kNone, kGelu };

// Held for bfloat16 on CPUs that multiply it. torch's own product rearranges the weights on each call, which for 256 tokens takes as long as
// multiplying them (oneDNN through torch, one thread of a Sapphire Rapids core, 384 x 1536: 640 GFLOP/s as they are, 1190 packed).
class PackedWeight {
 public:
  // Packs weight [out, in], unless that was done and it has not changed since. Not while another thread multiplies.
  void refresh(const torch::Tensor& weight);
  bool holds() const { return packed_.defined(); }
  // activation(x W' + b): x [n, in] -> [n, out], new memory.
  torch::Tensor multiply(const torch::Tensor& x, const torch::Tensor& bias, Activation activation) const;

 private:
  std::mutex mutex_;        // two threads may ask for the same
  torch::Tensor packed_, packed_from_;
  std::int64_t version_ = 0;
};

}  // namespace fovea
