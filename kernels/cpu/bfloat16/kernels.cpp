#include "kernels/cpu/bfloat16/kernels.h"

#if FOVEA_BFLOAT16_PRODUCTS

#include "kernels/cpu/bfloat16/backward_globals-inl.h"

namespace fovea::kernels::cpu::bfloat16 {
namespace {

// Calls body with the engine of the chosen products.
template <class Body>
void with_engine(const Body& body) {
  if (chosen_products() == Products::kTiles) {
    body(TileProducts());
  } else {
    body(DotProducts());
  }
}

// Floats that take(arena) takes.
template <class Take>
std::size_t floats_of(const AttentionShape& shape, const Take& take) {
  Arena arena;
  const RowReader reader(shape.head_dim, arena);
  take(arena);
  return arena.used_bytes() / sizeof(float);
}

std::size_t forward_block_floats(const AttentionShape& shape, std::int64_t halo_tokens) {
  return floats_of(shape, [&](Arena& arena) { take_forward_scratch(shape, halo_tokens, arena); });
}

std::size_t backward_block_floats(const AttentionShape& shape, std::int64_t halo_tokens) {
  return floats_of(shape, [&](Arena& arena) {
    take_sums(padded_depth(shape.head_dim), arena);
    take_sums(padded_depth(shape.head_dim), arena);
    take_backward_scratch(shape, halo_tokens, arena);
  });
}

// A slice's scratch serves its merge as well.
std::size_t forward_slice_floats(const AttentionShape& shape) {
  return std::max(forward_block_floats(shape, kGlobalStep), partial_floats(shape));
}

std::size_t backward_slice_floats(const AttentionShape& shape) {
  return std::max(backward_block_floats(shape, kGlobalStep), gradient_floats(shape));
}

}  // namespace

const TaskKernels* kernels() {
  using Forward = const AttentionForward&;
  using Backward = const AttentionBackward&;
  static const TaskKernels table{
      .forward = {.plan = [](const AttentionShape& shape) { return plan_strips(shape, 2); }, .block_floats = forward_block_floats,
                  .slice_floats = forward_slice_floats, .partial_floats = partial_floats},
      .backward = {.plan = [](const AttentionShape& shape) { return plan_strips(shape, 4); }, .block_floats = backward_block_floats,
                   .slice_floats = backward_slice_floats, .partial_floats = gradient_floats},
      .forward_block = [](Forward parameters, const BlockTask& task, float* scratch) {
        with_engine([&](const auto& engine) { forward_strip(engine, parameters, task, scratch); });
      },
      .forward_slice = [](Forward parameters, const GlobalSlice& slice, float* scratch, float* partial) {
        with_engine([&](const auto& engine) { forward_global_slice(engine, parameters, slice, scratch, partial); });
      },
      .merge_forward = merge_partial_softmaxes,
      .backward_block = [](Backward parameters, const float* delta, const BlockTask& task, float* scratch) {
        with_engine([&](const auto& engine) { backward_strip(engine, parameters, delta, task, scratch); });
      },
      .backward_slice = [](Backward parameters, const float* delta, const GlobalSlice& slice, float* scratch, float* partial) {
        with_engine([&](const auto& engine) { backward_global_slice(engine, parameters, delta, slice, scratch, partial); });
      },
      .merge_backward = merge_partial_gradients};
  return &table;
}

}  // namespace fovea::kernels::cpu::bfloat16

#else

namespace fovea::kernels::cpu::bfloat16 {

const TaskKernels* kernels() { return nullptr; }

}  // namespace fovea::kernels::cpu::bfloat16

#endif
