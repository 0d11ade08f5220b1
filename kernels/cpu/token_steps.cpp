// Compiles the steps of token_steps.h once for each instruction set and picks the best that the machine has.
#include "kernels/cpu/token_steps.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/token_steps.cpp"
#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>

#include "kernels/cpu/simd/global_slices-inl.h"
#include "kernels/cpu/simd/token_steps-inl.h"

#if HWY_ONCE
#include <algorithm>

#include "kernels/cpu/scratch_pool.h"
#include "kernels/cpu/simd_kernels.h"
#include "kernels/token_steps_cpu.h"

namespace fovea::kernels::cpu {
namespace {

constexpr std::int64_t kElementsATask = 1 << 16;   // some ten microseconds

template <class Step>
using Work = void (*)(const Step&, std::int64_t begin, std::int64_t end);

template <class Step>
void by_tasks(const Step& step, std::int64_t width, const ParallelFor& parallel_for, Work<Step> work) {
  const std::int64_t tokens = std::max<std::int64_t>(1, kElementsATask / width);
  parallel_for((step.count + tokens - 1) / tokens, [&](std::int64_t task) {
    work(step, task * tokens, std::min(step.count, (task + 1) * tokens));
  });
}

}  // namespace

HWY_EXPORT(rotate_tokens);
HWY_EXPORT(add_and_normalise_tokens);
HWY_EXPORT(global_slice_memory);
HWY_EXPORT(attend_from_globals);

void rotate_tokens(const PackedRotation& rotation, std::int64_t begin, std::int64_t end) {
  HWY_DYNAMIC_DISPATCH(rotate_tokens)(rotation, begin, end);
}

void add_and_normalise_tokens(const ResidualNorm& step, std::int64_t begin, std::int64_t end) {
  HWY_DYNAMIC_DISPATCH(add_and_normalise_tokens)(step, begin, end);
}

std::size_t global_slice_memory(const GlobalSlices& part) { return HWY_DYNAMIC_DISPATCH(global_slice_memory)(part); }

void attend_from_globals(const GlobalSlices& part, const GlobalSliceTask& task, float* memory) {
  HWY_DYNAMIC_DISPATCH(attend_from_globals)(part, task, memory);
}

void rotate_packed(const PackedRotation& rotation, const ParallelFor& parallel_for) {
  by_tasks(rotation, std::int64_t{2} * rotation.heads * rotation.head_dim, parallel_for, rotate_tokens);
}

void add_residual_and_normalise(const ResidualNorm& step, const ParallelFor& parallel_for) {
  by_tasks(step, step.width, parallel_for, add_and_normalise_tokens);
}

void attend_from_globals(const GlobalSlices& part, const ParallelFor& parallel_for) {
  const int together = simd_lanes(), groups = (part.global_tokens + together - 1) / together;
  ScratchPool pool(global_slice_memory(part));
  parallel_for(part.slices() * part.heads * groups, [&](std::int64_t i) {
    const ScratchPool::Loan memory(pool);
    const std::int64_t plane = i / groups;
    attend_from_globals(part, {.slice = plane / part.heads, .head = static_cast<int>(plane % part.heads),
                               .first_query = static_cast<int>(i % groups) * together}, memory.data());
  });
}

}  // namespace fovea::kernels::cpu
#endif  // HWY_ONCE
