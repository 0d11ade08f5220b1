// Rows of attention in half precision: every instruction set of this machine against sums in float64; red zones around what is written.
#include <gtest/gtest.h>
#include <hwy/highway.h>
#include <hwy/targets.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <random>
#include <vector>

#include "kernels/attention_cpu.h"
#include "kernels/cpu/half_rows.h"
#include "tests/kernels/guarded_buffer.h"

namespace fovea::kernels::cpu {
namespace {

using test::GuardedBuffer;

constexpr std::int64_t kGlobals = 3, kSide = 7, kKeys = kSide * kSide, kSlots = kGlobals + kKeys, kStride = 40;
constexpr double kHalfRounding = 0x1p-11, kFloatRounding = 0x1p-23, kSmallest = 0x1p-39;   // of a weight: 2^-24 by the unit
constexpr Half kGuard = 0x5555;

double wide(Half half) {
  const int exponent = half >> 10 & 31, fraction = half & 1023;
  return exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
}

// Softmax rows from flat to sharp, down to weights that a plain half would lose.
std::vector<float> random_rows(std::mt19937& random) {
  std::vector<float> rows(kSlots * kRowLanes);
  std::normal_distribution<float> normal;
  for (std::int64_t lane = 0; lane < kRowLanes; ++lane) {
    double sum = 0;
    for (std::int64_t key = 0; key < kSlots; ++key) {
      sum += rows[key * kRowLanes + lane] = std::exp(static_cast<float>(lane) / 3 * normal(random));
    }
    for (std::int64_t key = 0; key < kSlots; ++key) rows[key * kRowLanes + lane] /= static_cast<float>(sum);
  }
  return rows;
}

struct Block {
  std::vector<Half> weights = std::vector<Half>((kSlots + 2) * kRowLanes, kGuard);   // a slot of red zone on both sides
  GuardedBuffer<float> inverse_sums{kRowLanes};
  Half* data() { return weights.data() + kRowLanes; }
  HalfBlock block() const { return {weights.data() + kRowLanes, inverse_sums.data()}; }
  double weight(std::int64_t slot, std::int64_t lane) const { return wide(block().weights[slot * kRowLanes + lane]); }
  double probability(std::int64_t slot, std::int64_t lane) const { return weight(slot, lane) * block().inverse_sums[lane]; }
  void expect_whole() const {
    const auto guard = [](Half half) { return half == kGuard; };
    EXPECT_TRUE(std::all_of(weights.begin(), weights.begin() + kRowLanes, guard));
    EXPECT_TRUE(std::all_of(weights.end() - kRowLanes, weights.end(), guard));
    EXPECT_TRUE(inverse_sums.guards_intact());
    EXPECT_EQ(inverse_sums.poisoned(), 0u);
  }
};

std::vector<std::int32_t> shuffled(std::mt19937& random) {
  std::vector<std::int32_t> places(kSlots);
  std::iota(places.begin(), places.end(), 0);
  std::shuffle(places.begin(), places.end(), random);
  return places;
}

class HalfRows : public ::testing::Test {
 protected:
  ~HalfRows() override { hwy::SetSupportedTargetsForTest(0); }

  static void for_each_target(const std::function<void(std::mt19937& random)>& body) {
    const std::int64_t supported = hwy::SupportedTargets();
    for (std::int64_t rest = HWY_TARGETS & (supported | HWY_STATIC_TARGET); rest != 0; rest &= rest - 1) {
      hwy::SetSupportedTargetsForTest(rest & -rest);
      SCOPED_TRACE(instruction_set());
      std::mt19937 random(5);
      body(random);
    }
  }
  static Block rounded(const std::vector<float>& rows, const std::vector<std::int32_t>& places) {
    Block block;
    const std::vector<float> factors(kRowLanes, 1.0F);
    round_rows({.rows = rows.data(), .factors = factors.data(), .places = places.data(), .count = kSlots}, block.data(),
               block.inverse_sums.data());
    return block;
  }
};

TEST_F(HalfRows, AreRoundedOnceAndSumToOne) {
  for_each_target([](std::mt19937& random) {
    const auto rows = random_rows(random);
    const auto places = shuffled(random);
    const Block block = rounded(rows, places);
    block.expect_whole();
    for (std::int64_t lane = 0; lane < kRowLanes; ++lane) {
      double sum = 0;
      for (std::int64_t key = 0; key < kSlots; ++key) {
        const double exact = rows[key * kRowLanes + lane], stored = block.weight(places[key], lane) / kHalfUnit;
        if (exact > 0x1p-29) {
          EXPECT_LE(std::abs(stored - exact), kHalfRounding * exact);
        }
        sum += block.probability(places[key], lane);
      }
      EXPECT_NEAR(sum, 1, 2 * kFloatRounding);
    }
  });
}

TEST_F(HalfRows, FuseHeadsThatSeeDifferentKeys) {
  constexpr std::int64_t kHeads = 3;
  for_each_target([](std::mt19937& random) {
    std::vector<Block> heads;
    std::vector<HalfBlock> blocks;
    for (std::int64_t head = 0; head < kHeads; ++head) heads.push_back(rounded(random_rows(random), shuffled(random)));
    for (const Block& head : heads) blocks.push_back(head.block());
    std::vector<std::int32_t> sources(kSlots * kHeads);
    for (std::size_t i = 0; i < sources.size(); ++i) sources[i] = random() % 5 == 0 ? -1 : static_cast<std::int32_t>(random() % kSlots);
    for (const LaneFusion fusion : {LaneFusion::kAdd, LaneFusion::kMaximum, LaneFusion::kMinimum}) {
      Block fused;
      fuse_rows({.heads = blocks.data(), .sources = sources.data(), .head_count = kHeads, .slots = kSlots, .fusion = fusion}, fused.data(),
                fused.inverse_sums.data());
      fused.expect_whole();
      for (std::int64_t lane = 0; lane < kRowLanes; ++lane) {
        for (std::int64_t slot = 0; slot < kSlots; ++slot) {
          double expected = fusion == LaneFusion::kMinimum ? 1 : 0;
          for (std::int64_t head = 0; head < kHeads; ++head) {
            const std::int32_t source = sources[slot * kHeads + head];
            const double weight = source < 0 ? 0 : heads[head].probability(source, lane);
            if (fusion == LaneFusion::kAdd) expected += weight / kHeads;
            if (fusion == LaneFusion::kMaximum) expected = std::max(expected, weight);
            if (fusion == LaneFusion::kMinimum) expected = std::min(expected, weight);
          }
          EXPECT_NEAR(fused.weight(slot, lane) / kHalfUnit, expected, (kHalfRounding + 8 * kFloatRounding) * expected + kSmallest);
        }
      }
    }
  });
}

TEST_F(HalfRows, SpreadAndDotAreProductsWithWhatIsStored) {
  for_each_target([](std::mt19937& random) {
    std::vector<std::int32_t> in_order(kSlots), displacements;
    std::iota(in_order.begin(), in_order.end(), 0);
    for (std::int32_t x = 0; x < kSide; ++x) {
      for (std::int32_t y = 0; y < kSide; ++y) displacements.push_back(y * kStride + x);
    }
    const HalfPlane place{.displacements = displacements.data(), .globals = kGlobals, .slots = kSlots};
    const Block block = rounded(random_rows(random), in_order);
    GuardedBuffer<float> plane(kSide * kStride);
    std::vector<float> factors(kRowLanes), numbers(kGlobals);
    std::vector<double> expected(plane.size()), globals(kGlobals), expected_globals(kGlobals), sums(kRowLanes, std::nan(""));
    std::uniform_real_distribution<float> uniform;
    for (auto* values : {&factors, &numbers}) std::ranges::generate(*values, [&] { return uniform(random); });
    for (std::size_t i = 0; i < plane.size(); ++i) expected[i] = plane.data()[i] = uniform(random);
    dot_rows(place, block.block(), plane.data(), numbers.data(), sums.data());
    for (std::int64_t lane = 0; lane < kRowLanes; ++lane) {
      double dot = 0;
      for (std::int64_t slot = 0; slot < kSlots; ++slot) {
        const double probability = block.probability(slot, lane);
        const auto at = static_cast<std::size_t>(slot < kGlobals ? 0 : displacements[slot - kGlobals] + lane);
        dot += probability * (slot < kGlobals ? numbers[slot] : plane.data()[at]);
        (slot < kGlobals ? expected_globals[slot] : expected[at]) += probability * factors[lane];
      }
      EXPECT_NEAR(sums[lane], dot, 40 * kFloatRounding * dot);
    }
    spread_rows(place, block.block(), factors.data(), plane.data(), globals.data());
    EXPECT_TRUE(plane.guards_intact());
    for (std::size_t i = 0; i < plane.size(); ++i) EXPECT_NEAR(plane.data()[i], expected[i], kKeys * kFloatRounding * (1 + expected[i]));
    for (std::int64_t g = 0; g < kGlobals; ++g) EXPECT_NEAR(globals[g], expected_globals[g], 4 * kFloatRounding * expected_globals[g]);
  });
}

}  // namespace
}  // namespace fovea::kernels::cpu
