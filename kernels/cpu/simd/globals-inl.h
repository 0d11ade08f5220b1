// The global tokens against the whole sequence, a step of neighbouring tokens at a time; and what both passes share.
#if defined(FOVEA_KERNELS_CPU_SIMD_GLOBALS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FOVEA_KERNELS_CPU_SIMD_GLOBALS_INL_H_
#undef FOVEA_KERNELS_CPU_SIMD_GLOBALS_INL_H_
#else
#define FOVEA_KERNELS_CPU_SIMD_GLOBALS_INL_H_
#endif

#include <type_traits>

#include "kernels/cpu/simd/grid-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fovea::kernels::cpu {
namespace HWY_NAMESPACE {

constexpr float kLog2E = 1.44269504088896340736f;
// Tokens that the global tokens meet at a time.
constexpr std::size_t kGlobalStep = 256;

template <class Element, class View>
HWY_INLINE auto* head_of(const View& view, std::int64_t batch, int head) {
  using Pointer = std::conditional_t<std::is_same_v<View, ConstView>, const Element*, Element*>;
  return static_cast<Pointer>(view.data) + batch * view.batch_stride + head * view.head_stride;
}

template <class Element>
HWY_INLINE HeadPair<Element> head_pair(const ConstView& keys, const ConstView& values, const BlockTask& task) {
  return {head_of<Element>(keys, task.batch, task.head), head_of<Element>(values, task.batch, task.head), keys.token_stride,
          values.token_stride};
}

// Where a head's numbers begin in a tensor [B, heads, N].
HWY_INLINE std::int64_t sequence_offset(const AttentionShape& shape, std::int64_t batch, int head) {
  return (batch * shape.heads + head) * shape.tokens();
}

HWY_INLINE std::size_t global_groups(const AttentionShape& shape) {
  return hwy::DivCeil(static_cast<std::size_t>(shape.global_tokens), kLanes);
}

HWY_INLINE LaneTokens global_lanes(const AttentionShape& shape, std::size_t group) {
  LaneTokens lanes;
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    const auto token = static_cast<std::int64_t>(group * kLanes + lane);
    lanes.token[lane] = std::min<std::int64_t>(token, shape.global_tokens - 1);
    lanes.stored[lane] = token < shape.global_tokens;
  }
  return lanes;
}

// A step's tokens are all visible; what pads them is not.
struct SliceBias {
  float* columns;   // [kGlobalStep][lanes]
  float* none;      // [lanes], zeros
};

HWY_INLINE std::size_t slice_bias_floats() { return (kGlobalStep + 1) * kLanes + 32; }

HWY_INLINE SliceBias take_slice_bias(Arena& arena) {
  const SliceBias bias{.columns = arena.take(kGlobalStep * kLanes), .none = arena.take(kLanes)};
  std::memset(bias.none, 0, kLanes * sizeof(float));
  return bias;
}

HWY_INLINE Chunk step_chunk(const SliceBias& bias, std::size_t count) {
  const std::int32_t anywhere[kLanes] = {};
  fill_bias(anywhere, kGlobalStep, 0, count, bias.columns);
  Chunk chunk(kGlobalStep);
  chunk.add({.first = 0, .count = count, .column_bias = bias.columns, .row_bias = bias.none});
  return chunk;
}

// Calls body(first token, count) for the steps of a slice.
template <class Body>
HWY_INLINE void for_each_global_step(const GlobalSlice& slice, const Body& body) {
  constexpr auto kStep = static_cast<std::int64_t>(kGlobalStep);
  for (std::int64_t done = 0; done < slice.tokens; done += kStep) {
    body(slice.first_token + done, static_cast<std::size_t>(std::min(slice.tokens - done, kStep)));
  }
}

template <class Element>
HWY_INLINE void pack_step(const ConstView& view, const GlobalSlice& slice, std::int64_t first, std::size_t count, std::size_t depth,
                          const Panels& panels) {
  pack_tokens(head_of<Element>(view, slice.batch, slice.head) + first * view.token_stride, view.token_stride, count, depth,
              {panels.data, panels.capacity, 0});
  clear_tokens(kTokenGroup, panels.padded, {panels.data, panels.capacity, count});
}

}  // namespace HWY_NAMESPACE
}  // namespace fovea::kernels::cpu
HWY_AFTER_NAMESPACE();

#endif
