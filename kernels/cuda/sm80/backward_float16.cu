// The backward of this element type (backward.h).
#include "kernels/cuda/sm80/backward.cuh"

namespace fovea::kernels::sm80 {

template std::size_t backward_workspace<__half>(const AttentionShape&);
template cudaError_t run_backward<__half>(const AttentionBackward&, void*, cudaStream_t);

}  // namespace fovea::kernels::sm80
