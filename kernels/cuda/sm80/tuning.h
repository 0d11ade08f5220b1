// Sizes of the passes: what was measured to be fastest on an H100, within 99 KiB of shared memory and 255 registers a thread.
//
// kWarps: of 16 tokens each; kStageBlocks: blocks of 8 tokens in a stage of the pipeline, kStages of them in flight; kColumns: a warp
// meets up to 2 x kColumns blocks at once; kResidentBlocks: thread blocks that fit a multiprocessor by their registers.
#pragma once

namespace fovea::kernels::sm80 {

template <class Element, int kDim>
struct ForwardTuning {
  static constexpr int kRowBytes = kDim * int(sizeof(Element));
  static constexpr int kWarps = sizeof(Element) == 4 ? 4 : 8;
  static constexpr int kStageBlocks = kRowBytes > 256 ? 4 : kRowBytes > 128 ? 8 : 16, kStages = 2;
  static constexpr int kColumns = sizeof(Element) == 4 ? 1 : 2;
  static constexpr int kResidentBlocks = kDim == 128 ? 1 : 2;
};

template <class Element, int kDim>
struct QueryGradientTuning : ForwardTuning<Element, kDim> {
  static constexpr int kColumns = 1;
};

template <class Element, int kDim>
struct KeyGradientTuning : ForwardTuning<Element, kDim> {
  static constexpr int kWarps = kDim == 128 && sizeof(Element) == 2 ? 8 : 4;
  static constexpr int kStageBlocks = ForwardTuning<Element, kDim>::kRowBytes > 256 ? 4 : 8;
  static constexpr int kColumns = 1;
  static constexpr int kResidentBlocks = kDim == 128 ? 1 : sizeof(Element) == 4 ? 2 : 3;
};

}  // namespace fovea::kernels::sm80
