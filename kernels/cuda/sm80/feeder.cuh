// Starts the copies of a thread block's stages, kStages - 1 ahead of their use. Few global tokens travel with stage 0, behind its blocks.
#pragma once

#include "kernels/cuda/sm80/arguments.cuh"
#include "kernels/cuda/sm80/async_copy.cuh"
#include "kernels/cuda/sm80/work.h"

namespace fovea::kernels::sm80 {

template <class Pass>
class StageFeeder {
  using Element = typename Pass::Element;
  using Tuning = typename Pass::Tuning;
  static constexpr int kStages = Tuning::kStages;

 public:
  __device__ StageFeeder(const Arguments& arguments, const Work& work, std::uint32_t buffers)
      : arguments_(arguments), work_(work), buffers_(buffers) {
    if (work.globals_nearby) {
      start_halo(work.globals, 0);
      copy(buffers, Tuning::kStageBlocks);
    }
#pragma unroll 1
    for (int i = 0; i < kStages - 1; ++i) start(i);
  }

  // One group of copies a stage, an empty one past the end.
  __device__ void start(int index) {
    const int grid_stages = work_.grid.stages;
    if (index < grid_stages + work_.globals.stages) {
      const Halo& halo = index < grid_stages ? work_.grid : work_.globals;
      if (index == 0 || index == grid_stages || halo.segments > 1)
        start_halo(halo, index < grid_stages ? index : index - grid_stages);
      else
        copier_.advance(halo, Pass::streamed_first(arguments_).token_stride, Pass::streamed_second(arguments_).token_stride);
      copy(buffers_ + index % kStages * Pass::kStageBytes, 0);
    }
    commit_copies();
  }

 private:
  __device__ void start_halo(const Halo& halo, int index) {
    const Plane<Element> first(Pass::streamed_first(arguments_), work_), second(Pass::streamed_second(arguments_), work_);
    copier_.start(halo, stage_of(halo, index), first, second);
  }
  __device__ void copy(std::uint32_t buffer, int slot) const {
    copier_.copy(buffer + slot * Pass::kBlockBytes, buffer + Pass::kOperandBytes + slot * Pass::kBlockBytes);
    Pass::copy_statistics(arguments_, work_, copier_, buffer, slot * kBlock);
  }

  const Arguments& arguments_;
  const Work& work_;
  std::uint32_t buffers_;
  StageCopier<Tuning, Element, Pass::kDim> copier_;
};

}  // namespace fovea::kernels::sm80
