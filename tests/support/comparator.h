// Comparisons that say how far apart two tensors are. A NaN or an infinity where the other has none never passes.
#pragma once

#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>

#include <string>

namespace fovea::test {

// Largest |actual - expected| in float64; infinity if shapes differ, if either holds a NaN, or if infinities do not match.
double max_error(const at::Tensor& actual, const at::Tensor& expected);

// Largest |expected|, for bounds in units of the result.
double max_magnitude(const at::Tensor& expected);

// Half the distance from 1 to the next number of the dtype.
double unit_roundoff(at::ScalarType dtype);

// What a float64 oracle says, and what torch says in the dtype under test.
struct Judgement {
  at::Tensor oracle;       // float64
  at::Tensor torch;        // same computation, torch's operators, the dtype under test
  double rounding_steps;   // roundings in that dtype on the way to a result that torch's way might not make
};

// Passes if the error against the oracle is at most twice torch's own plus rounding_steps * unit_roundoff * the result's magnitude.
::testing::AssertionResult as_accurate_as_torch(const at::Tensor& actual, const Judgement& judgement);

// Passes if every bit agrees (NaN never does).
::testing::AssertionResult identical(const at::Tensor& actual, const at::Tensor& expected);

}  // namespace fovea::test
