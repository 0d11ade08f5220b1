#include "core/attention/analysis/window_block.h"

#include <algorithm>
#include <cstring>
#include <limits>

// One machine code a generation of x86, chosen by the loader; sanitizers start too late for that.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define FOVEA_CLONES [[gnu::target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")]]
#else
#define FOVEA_CLONES
#endif

namespace fovea::analysis {
namespace {

using Lanes = float __attribute__((vector_size(kLanes * sizeof(float))));
using WideLanes = double __attribute__((vector_size(kLanes * sizeof(double))));
using IntLanes = std::int32_t __attribute__((vector_size(kLanes * sizeof(std::int32_t))));

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();
constexpr float kSmallestExponent = -87.0f;   // below, exp() is no normal float32: counted as zero
constexpr int kOffsetsAtOnce = 6;             // accumulators that stay in registers, also in sixteen of 256 bits

[[gnu::always_inline]] inline void load(Lanes& lanes, const float* from) { std::memcpy(&lanes, from, sizeof(Lanes)); }
[[gnu::always_inline]] inline void store(float* to, const Lanes& lanes) { std::memcpy(to, &lanes, sizeof(Lanes)); }

// exp(x) for -87 <= x <= 0, relative error below 2e-7: x = n ln 2 + r, a polynomial in r (Cephes, Moshier 1989), 2^n through its bits.
[[gnu::always_inline]] inline void exponential(Lanes& result, const Lanes& x) {
  constexpr float kRound = 12582912.0f;   // 1.5 * 2^23: adding it rounds to an integer
  const Lanes n = (x * 1.44269504088896341f + kRound) - kRound;
  const Lanes r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
  Lanes p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const IntLanes bits = (__builtin_convertvector(n, IntLanes) + 127) << 23;
  Lanes power;
  std::memcpy(&power, &bits, sizeof(power));
  result = p * power;
}

// scores[c][lane] = sum over d of query[d][lane] * keys[d][lane + c * dilation], c < Count.
template <int Count>
[[gnu::always_inline]] inline void dot_offsets(const ScoreBlock& block, const float* keys, float* scores) {
  Lanes sums[Count] = {};
  for (std::int64_t d = 0; d < block.head_dim; ++d) {
    Lanes query;
    load(query, block.query + d * kLanes);
    const float* row = keys + d * block.channel_stride;
#pragma GCC unroll 6
    for (int c = 0; c < Count; ++c) {
      Lanes key;
      load(key, row + c * block.dilation);
      sums[c] += query * key;
    }
  }
#pragma GCC unroll 6
  for (int c = 0; c < Count; ++c) store(scores + c * kLanes, sums[c]);
}

[[gnu::always_inline]] inline void score_row(const ScoreBlock& block, const float* keys, std::int64_t offsets, float* scores) {
  std::int64_t done = 0;
  const auto at = [&](std::int64_t offset) { return keys + offset * block.dilation; };
  for (; done + kOffsetsAtOnce <= offsets; done += kOffsetsAtOnce) dot_offsets<kOffsetsAtOnce>(block, at(done), scores + done * kLanes);
  for (; done + 3 <= offsets; done += 3) dot_offsets<3>(block, at(done), scores + done * kLanes);
  for (; done < offsets; ++done) dot_offsets<1>(block, at(done), scores + done * kLanes);
}

// Keys to the left and right of the grid.
void mask_row(const ScoreBlock& block, float* scores) {
  for (std::int64_t j = -block.radius_x; j <= block.radius_x; ++j, scores += kLanes) {
    const std::int64_t x = block.x + j * block.dilation;
    if (x >= 0 && x + kLanes <= block.grid_width) continue;
    for (std::int64_t lane = 0; lane < kLanes; ++lane) if (x + lane < 0 || x + lane >= block.grid_width) scores[lane] = kMinusInfinity;
  }
}

}  // namespace

FOVEA_CLONES void score_block(const ScoreBlock& block, float* scores) {
  for (std::int64_t g = 0; g < block.globals; ++g, scores += kLanes) {
    Lanes sum = {};
    for (std::int64_t d = 0; d < block.head_dim; ++d) {
      Lanes query;
      load(query, block.query + d * kLanes);
      sum += query * block.global_keys[g * block.head_dim + d];
    }
    store(scores, sum);
  }
  const std::int64_t offsets = 2 * block.radius_x + 1;
  for (std::int64_t i = -block.radius_y; i <= block.radius_y; ++i, scores += offsets * kLanes) {
    const std::int64_t y = block.y + i * block.dilation;
    if (y < 0 || y >= block.grid_height) {
      std::fill_n(scores, offsets * kLanes, kMinusInfinity);
      continue;
    }
    score_row(block, block.keys + i * block.dilation * block.row_stride - block.radius_x * block.dilation, offsets, scores);
    mask_row(block, scores);
  }
}

FOVEA_CLONES void softmax_block(float* scores, std::int64_t count, SoftmaxSums& sums) {
  Lanes largest = Lanes{} - 1e30f, value, power;   // finite, so that a lane without keys stays without NaN
  for (std::int64_t key = 0; key < count; ++key) {
    load(value, scores + key * kLanes);
    largest = value > largest ? value : largest;
  }
  WideLanes total = {}, moment = {};
  for (std::int64_t key = 0; key < count; ++key) {
    load(value, scores + key * kLanes);
    value -= largest;
    const auto counts = value > kSmallestExponent;
    value = counts ? value : Lanes{} + kSmallestExponent;
    exponential(power, value);
    power = counts ? power : Lanes{};
    store(scores + key * kLanes, power);
    total += __builtin_convertvector(power, WideLanes);
    moment += __builtin_convertvector(power * value, WideLanes);
  }
  float inverse[kLanes];
  for (std::int64_t lane = 0; lane < kLanes; ++lane) {
    const double sum = total[lane];
    inverse[lane] = sum > 0 ? static_cast<float>(1 / sum) : 0.0f;
    sums.lse[lane] = largest[lane] + __builtin_log(sum);
    sums.entropy[lane] = __builtin_log(sum) - moment[lane] / sum;   // both terms are positive: nothing cancels
  }
  Lanes scale;
  load(scale, inverse);
  for (std::int64_t key = 0; key < count; ++key) {
    load(value, scores + key * kLanes);
    store(scores + key * kLanes, value * scale);
  }
}

FOVEA_CLONES void weighted_sums(const float* probabilities, const double* weights, std::int64_t count, double* sums) {
  WideLanes total = {};
  Lanes value;
  for (std::int64_t key = 0; key < count; ++key) {
    load(value, probabilities + key * kLanes);
    total += __builtin_convertvector(value, WideLanes) * weights[key];
  }
  std::memcpy(sums, &total, sizeof(total));
}

FOVEA_CLONES void fuse_block(float* fused, const float* probabilities, const std::int32_t* map, std::int64_t count, BlockFusion fusion,
                             float factor) {
  for (std::int64_t key = 0; key < count; ++key) {
    Lanes value, before;
    float* target = fused + map[key] * kLanes;
    load(value, probabilities + key * kLanes);
    load(before, target);
    switch (fusion) {
      case BlockFusion::kAdd: before += value * factor; break;
      case BlockFusion::kMaximum: before = value > before ? value : before; break;
      case BlockFusion::kMinimum: before = value < before ? value : before; break;
    }
    store(target, before);
  }
}

}  // namespace fovea::analysis
