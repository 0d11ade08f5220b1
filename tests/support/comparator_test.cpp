// The comparator is tested before anything is tested with it.
#include "tests/support/comparator.h"

#include <ATen/ATen.h>

#include <cmath>
#include <limits>

namespace fovea::test {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

at::Tensor numbers(std::initializer_list<double> values) { return at::tensor(at::ArrayRef<double>(values.begin(), values.size())); }

TEST(Comparator, MeasuresTheLargestDifference) { EXPECT_DOUBLE_EQ(max_error(numbers({1, 2, 3}), numbers({1, 2.5, 2.75})), 0.5); }

TEST(Comparator, NanNeverPasses) {
  EXPECT_EQ(max_error(numbers({1, kNan}), numbers({1, 2})), kInfinity);
  EXPECT_EQ(max_error(numbers({1, 2}), numbers({1, kNan})), kInfinity);
  EXPECT_EQ(max_error(numbers({kNan, 1}), numbers({kNan, 1})), kInfinity);
  EXPECT_FALSE(identical(numbers({kNan}), numbers({kNan})));
}

TEST(Comparator, InfinitiesMustMatch) {
  EXPECT_EQ(max_error(numbers({kInfinity}), numbers({1})), kInfinity);
  EXPECT_EQ(max_error(numbers({kInfinity}), numbers({-kInfinity})), kInfinity);
  EXPECT_EQ(max_error(numbers({-kInfinity, 2}), numbers({-kInfinity, 2})), 0.0);
}

TEST(Comparator, ShapesMustMatch) {
  EXPECT_EQ(max_error(numbers({1, 2}), numbers({1})), kInfinity);
  EXPECT_FALSE(identical(numbers({1, 2}), numbers({1})));
}

TEST(Comparator, BoundIsTwiceTorchPlusRounding) {
  const at::Tensor oracle = numbers({1.0});
  const at::Tensor torch = at::tensor(at::ArrayRef<float>({1.0F + 0x1p-20F}));
  const Judgement judgement{.oracle = oracle, .torch = torch, .rounding_steps = 1};
  EXPECT_TRUE(as_accurate_as_torch(numbers({1.0 + 0x1p-19}), judgement));
  EXPECT_FALSE(as_accurate_as_torch(numbers({1.0 + 0x1p-19 + 0x1p-22}), judgement));
  EXPECT_FALSE(as_accurate_as_torch(numbers({kNan}), judgement));
}

TEST(Comparator, TorchesFailureIsNoLicence) {
  const Judgement judgement{.oracle = numbers({1.0}), .torch = at::tensor(at::ArrayRef<float>({std::nanf("")})), .rounding_steps = 1};
  EXPECT_FALSE(as_accurate_as_torch(numbers({1.0}), judgement));
  EXPECT_FALSE(as_accurate_as_torch(numbers({5.0}), judgement));
}

TEST(Comparator, IdenticalSeesOneBit) {
  EXPECT_TRUE(identical(numbers({1, 2}), numbers({1, 2})));
  EXPECT_FALSE(identical(numbers({1, 2}), numbers({1, std::nextafter(2.0, 3.0)})));
}

}  // namespace
}  // namespace fovea::test
