// Rows of attention that are kept, in IEEE half precision: written once, read by every product from then on. A block is the rows of sixteen
// neighbouring queries, [slots][kRowLanes]; a slot is a key's place relative to its query.
//
// A weight is stored times kHalfUnit, so that all above 2^-29 have the format's full 11 bits: rounding changes one by 2^-11 of itself at
// most. Beside each row is one over the sum of what was stored: rows sum to one again, and no mass is lost from product to
// product.
#pragma once

#include <cstdint>

#include "kernels/cpu/window_rows.h"

namespace fovea::kernels::cpu {

using Half = std::uint16_t;               // the bits of a binary16
constexpr float kHalfUnit = 32768.0f;     // of weights up to 1; the largest half is 65504

struct HalfBlock {
  const Half* weights = nullptr;          // [slots][kRowLanes]
  const float* inverse_sums = nullptr;    // [kRowLanes]: times a stored weight, the probability. Rows without any weight: 0
};

// weights[places[key]][lane] = rows[key][lane] * factors[lane] * kHalfUnit, which is at most that unit; inverse_sums as in HalfBlock.
struct HalfRows {
  const float* rows = nullptr;            // [count][kRowLanes]
  const float* factors = nullptr;         // [kRowLanes]
  const std::int32_t* places = nullptr;   // [count] slots; each once
  std::int64_t count = 0;
};
void round_rows(const HalfRows& from, Half* weights, float* inverse_sums);

// Heads made one, slot by slot; kAdd: their mean. A key that a head does not see has probability zero there.
struct HalfFusion {
  const HalfBlock* heads = nullptr;       // [head_count] of the same queries
  const std::int32_t* sources = nullptr;  // [slots][head_count]: the head's slot of this key; -1: it does not see it
  std::int64_t head_count = 0, slots = 0;
  LaneFusion fusion = LaneFusion::kAdd;
};
void fuse_rows(const HalfFusion& how, Half* weights, float* inverse_sums);

// Where a block's keys lie in a plane of numbers on tokens, from the block's first query on; globals aside, which are the first slots.
struct HalfPlane {
  const std::int32_t* displacements = nullptr;   // [slots - globals] floats; neighbours had better not overlap: see window_spread()
  std::int64_t globals = 0, slots = 0;
};
// plane[key] += weight * inverse_sum * factors[lane]; globals[g] += likewise, in float64.
void spread_rows(const HalfPlane& place, const HalfBlock& block, const float* factors, float* plane, double* globals);
// sums[lane] = sum over keys of weight * inverse_sum * number of that key, in float64 over a few dozen terms.
void dot_rows(const HalfPlane& place, const HalfBlock& block, const float* plane, const float* global_numbers, double* sums);

}  // namespace fovea::kernels::cpu
