#include "kernels/cuda/sm90/backward_kernels.cuh"

namespace fovea::kernels::sm90 {

const BackwardKernels& float16_backward_kernels(int compiled_head_dim, bool rides) {
  return backward_kernels<Float16>(compiled_head_dim, rides);
}

}  // namespace fovea::kernels::sm90
