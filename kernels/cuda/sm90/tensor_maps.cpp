#include "kernels/cuda/sm90/tensor_maps.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdint>

namespace fovea::kernels::sm90 {
namespace {

constexpr int kBoxColumns = 64;                 // elements of head_dim in a box: one 128-byte row of the swizzle
constexpr int kElementBytes = 2;

using CurrentContext = CUresult (*)(CUcontext*);
using Encode = CUresult (*)(CUtensorMap*, CUtensorMapDataType, cuuint32_t, void*, const cuuint64_t*, const cuuint64_t*, const cuuint32_t*,
                            const cuuint32_t*, CUtensorMapInterleave, CUtensorMapSwizzle, CUtensorMapL2promotion, CUtensorMapFloatOOBfill);

// Asked of the runtime, so that nothing links libcuda and the program starts where there is no driver.
template <class Function>
Function driver_function(const char* name) {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found;
  constexpr unsigned kFirstVersion = 12000;
  const cudaError_t error = cudaGetDriverEntryPointByVersion(name, &function, kFirstVersion, cudaEnableDefault, &found);
  return error == cudaSuccess && found == cudaDriverEntryPointSuccess ? reinterpret_cast<Function>(function) : nullptr;
}

// The driver encodes maps only for a thread that has a context. The runtime gives a thread one at its first launch or allocation; in a
// thread of torch's autograd the maps may come before either.
bool have_context() {
  static const auto current = driver_function<CurrentContext>("cuCtxGetCurrent");
  CUcontext context = nullptr;
  if (current != nullptr && current(&context) == CUDA_SUCCESS && context != nullptr) return true;
  int device = 0;
  return cudaGetDevice(&device) == cudaSuccess && cudaSetDevice(device) == cudaSuccess;
}

struct MapShape {
  int rank;
  cuuint64_t extents[5];
  cuuint64_t strides[4];                        // elements, of dimensions 1...
  cuuint32_t box[5];
  cuuint32_t steps[5];
};

bool encode(CUtensorMap& map, const void* data, DataType dtype, MapShape shape) {
  static const auto function = driver_function<Encode>("cuTensorMapEncodeTiled");
  if (function == nullptr || !have_context()) return false;
  for (int i = 0; i + 1 < shape.rank; ++i) shape.strides[i] = shape.extents[i + 1] == 1 ? 16 : shape.strides[i] * kElementBytes;
  const auto type = dtype == DataType::kBFloat16 ? CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 : CU_TENSOR_MAP_DATA_TYPE_FLOAT16;
  return function(&map, type, static_cast<cuuint32_t>(shape.rank), const_cast<void*>(data), shape.extents, shape.strides, shape.box,
                  shape.steps, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_128B,
                  CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) == CUDA_SUCCESS;
}

cuuint64_t u64(std::int64_t x) { return static_cast<cuuint64_t>(x); }

}  // namespace

bool encode_grid_map(CUtensorMap& map, const ConstView& view, const AttentionShape& shape, DataType dtype, const DilationGroup& group,
                     TokenBox box) {
  const auto* data = static_cast<const char*>(view.data) + shape.global_tokens * view.token_stride * kElementBytes;
  const auto dx = static_cast<cuuint32_t>(group.x.dilation), dy = static_cast<cuuint32_t>(group.y.dilation);
  return encode(map, data, dtype,
                {5,
                 {u64(shape.head_dim), u64(shape.heads), u64(shape.grid_width), u64(shape.grid_height), u64(shape.batch)},
                 {u64(view.head_stride), u64(view.token_stride), u64(view.token_stride * shape.grid_width), u64(view.batch_stride)},
                 {kBoxColumns, 1, static_cast<cuuint32_t>(box.columns) * dx, static_cast<cuuint32_t>(box.rows) * dy, 1},
                 {1, 1, dx, dy, 1}});
}

bool encode_token_map(CUtensorMap& map, const ConstView& view, const AttentionShape& shape, DataType dtype, std::int64_t tokens,
                      int box_tokens) {
  return encode(map, view.data, dtype,
                {4,
                 {u64(shape.head_dim), u64(shape.heads), u64(tokens), u64(shape.batch)},
                 {u64(view.head_stride), u64(view.token_stride), u64(view.batch_stride)},
                 {kBoxColumns, 1, static_cast<cuuint32_t>(box_tokens), 1},
                 {1, 1, 1, 1}});
}

const char* addressing_problem(const ConstView& view, const AttentionShape& shape) {
  const auto usable = [](std::int64_t stride, std::int64_t extent) {
    constexpr std::int64_t kStep = 16 / kElementBytes, kLimit = (std::int64_t{1} << 40) / kElementBytes;
    return extent == 1 || (stride % kStep == 0 && stride > 0 && stride < kLimit);
  };
  if (reinterpret_cast<std::uintptr_t>(view.data) % 16 != 0) return "a tensor does not start at a multiple of 16 bytes";
  const bool fits = usable(view.head_stride, shape.heads) && usable(view.token_stride, shape.tokens()) &&
                    usable(view.token_stride * shape.grid_width, shape.grid_height) && usable(view.batch_stride, shape.batch);
  return fits ? nullptr : "a stride is not a positive multiple of 16 bytes below 2^40";
}

}  // namespace fovea::kernels::sm90
