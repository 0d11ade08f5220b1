#include "kernels/cuda/sm90/kernel_set.cuh"

namespace fovea::kernels::sm90 {

const KernelSet& float16_kernels(int compiled_head_dim) { return kernel_set<Float16>(compiled_head_dim); }

}  // namespace fovea::kernels::sm90
