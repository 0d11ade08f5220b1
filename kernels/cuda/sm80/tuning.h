// Sizes of the passes: what was measured to be fastest on an H100. The ring takes the shared memory that a GPU has, 99 KiB or more.
//
// kWarps: that own tiles, two more copy and take the global tokens along; kSubtiles: of 16 tokens, that each keeps; kStageBlocks: the most
// blocks of 8 tokens in a stage of the ring; kResidentBlocks: thread blocks that fit a multiprocessor by their registers.
#pragma once

namespace fovea::kernels::sm80 {

template <class Element, int kDim>
struct ForwardTuning {
  static constexpr int kRowBytes = kDim * int(sizeof(Element));
  static constexpr int kWarps = kDim <= 64 && sizeof(Element) == 2 ? 14 : 10;
  static constexpr int kSubtiles = 1;
  static constexpr int kStageBlocks = kRowBytes > 256 ? 4 : kRowBytes > 128 ? 8 : 16;
  static constexpr int kResidentBlocks = 1;
};

template <class Element, int kDim>
struct QueryGradientTuning : ForwardTuning<Element, kDim> {
  static constexpr int kWarps = 10;
};

template <class Element, int kDim>
struct KeyGradientTuning : ForwardTuning<Element, kDim> {
  static constexpr int kWarps = kDim == 128 ? 6 : 10;
};

}  // namespace fovea::kernels::sm80
