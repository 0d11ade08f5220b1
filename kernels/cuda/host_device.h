// Index arithmetic that kernels and host tests share compiles with and without nvcc.
#pragma once

#ifdef __CUDACC__
#define FOVEA_HOST_DEVICE __host__ __device__ inline
#else
#define FOVEA_HOST_DEVICE inline
#endif
