#include "kernels/cuda/sm90/backward_kernels.cuh"

namespace fovea::kernels::sm90 {

const BackwardKernels& float16_backward_kernels() { return backward_kernels<Float16>(); }

}  // namespace fovea::kernels::sm90
