#include "kernels/cuda/sm90/kernel_set.cuh"

namespace fovea::kernels::sm90 {

const KernelSet& bfloat16_kernels(int compiled_head_dim) { return kernel_set<BFloat16>(compiled_head_dim); }

}  // namespace fovea::kernels::sm90
