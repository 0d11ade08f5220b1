// Sizes of the passes: what was measured to be fastest on an H100, within 99 KiB of shared memory and 255 registers a thread.
//
// kSub: subtiles of 16 tokens a warp; kWarps; kStageBlocks: blocks of 8 tokens in a stage of the pipeline, kStages of them in flight;
// kPairs: pairs of blocks a warp works on at once; kResidentBlocks: thread blocks that fit a multiprocessor by their registers.
#pragma once

#include <type_traits>

namespace fovea::kernels::sm80 {

template <class Element, int kDim>
struct ForwardTuning {
  static constexpr bool kWide = sizeof(Element) == 4;
  static constexpr int kSub = 1, kWarps = kWide ? 4 : 8;
  static constexpr int kStageBlocks = kDim * int(sizeof(Element)) > 256 ? 4 : 8, kStages = kDim * int(sizeof(Element)) > 128 ? 2 : 3;
  static constexpr int kPairs = kWide ? 1 : kDim == 128 ? 2 : 3;
  static constexpr int kResidentBlocks = kDim == 128 ? 1 : 2;
};

template <class Element, int kDim>
struct QueryGradientTuning : ForwardTuning<Element, kDim> {
  static constexpr bool kWide = sizeof(Element) == 4;
  static constexpr int kSub = kWide || kDim == 128 ? 1 : 2, kWarps = kWide || kDim < 128 ? 4 : 8;
  static constexpr int kPairs = 1;
};

template <class Element, int kDim>
struct KeyGradientTuning : ForwardTuning<Element, kDim> {
  static constexpr int kPairs = 1;
  static constexpr int kResidentBlocks = 1;
};

}  // namespace fovea::kernels::sm80
