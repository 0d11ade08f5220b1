// Rotation and residual with LayerNorm of some tokens: see kernels/token_steps.h.
#if defined(FOVEA_KERNELS_CPU_SIMD_TOKEN_STEPS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FOVEA_KERNELS_CPU_SIMD_TOKEN_STEPS_INL_H_
#undef FOVEA_KERNELS_CPU_SIMD_TOKEN_STEPS_INL_H_
#else
#define FOVEA_KERNELS_CPU_SIMD_TOKEN_STEPS_INL_H_
#endif

#include <cmath>

#include "kernels/cpu/simd/tokens-inl.h"
#include "kernels/cpu/token_steps.h"

HWY_BEFORE_NAMESPACE();
namespace fovea::kernels::cpu {
namespace HWY_NAMESPACE {

// Calls body(offset, load, store) for vectors that cover [0, count): load takes any array of the same length, the last vector may be
// incomplete (its other lanes are zero, and are not stored).
template <class Body>
HWY_INLINE void for_vectors(std::size_t count, const Body& body) {
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    body(i, [](const auto* from) { return load_as_float(from); }, [](FloatVector x, auto* to) { store_from_float(x, to); });
  }
  if (i == count) return;
  const std::size_t rest = count - i;
  body(
      i,
      [rest](const auto* from) {
        std::remove_const_t<std::remove_pointer_t<decltype(from)>> some[kLanes] = {};
        std::memcpy(some, from, rest * sizeof(*from));
        return load_as_float(some);
      },
      [rest](FloatVector x, auto* to) {
        std::remove_pointer_t<decltype(to)> some[kLanes];
        store_from_float(x, some);
        std::memcpy(to, some, rest * sizeof(*to));
      });
}

// part[0, count): complex numbers, real and imaginary part side by side, times units.
template <class Element>
HWY_INLINE void multiply_complex(Element* part, const float* units, std::size_t count) {
#if HWY_TARGET == HWY_SCALAR
  for (std::size_t i = 0; i < count; i += 2) {
    const FloatVector a = load_as_float(part + i), b = load_as_float(part + i + 1);
    const FloatVector cosine = load_as_float(units + i), sine = load_as_float(units + i + 1);
    store_from_float(hn::Sub(hn::Mul(a, cosine), hn::Mul(b, sine)), part + i);
    store_from_float(hn::Add(hn::Mul(a, sine), hn::Mul(b, cosine)), part + i + 1);
  }
#else
  for_vectors(count, [&](std::size_t at, const auto& load, const auto& store) {
    const FloatVector x = load(part + at), unit = load(units + at);
    const FloatVector by_cosine = hn::Mul(x, hn::DupEven(unit)), by_sine = hn::Mul(hn::Reverse2(FloatTag(), x), hn::DupOdd(unit));
    store(hn::OddEven(hn::Add(by_cosine, by_sine), hn::Sub(by_cosine, by_sine)), part + at);
  });
#endif
}

template <class Element>
HWY_INLINE void rotate_tokens_of(const PackedRotation& rotation, std::int64_t begin, std::int64_t end) {
  const auto half = static_cast<std::size_t>(rotation.head_dim / 2);
  const std::int64_t width = static_cast<std::int64_t>(rotation.heads) * rotation.head_dim;
  for (std::int64_t token = begin; token < end; ++token) {
    const std::int64_t place = rotation.first_token + token;
    const float* factors[2] = {rotation.row_factors + place / rotation.columns * static_cast<std::int64_t>(half),
                               rotation.column_factors + place % rotation.columns * static_cast<std::int64_t>(half)};
    Element* part = static_cast<Element*>(rotation.packed) + token * 3 * width;
    for (int i = 0; i < 4 * rotation.heads; ++i, part += half) {   // halves of the heads of queries, then of keys
      multiply_complex(part, factors[i % 2], half);
    }
  }
}

void rotate_tokens(const PackedRotation& rotation, std::int64_t begin, std::int64_t end) {
  with_element_type(rotation.dtype, [&](auto* element) {
    rotate_tokens_of<std::remove_pointer_t<decltype(element)>>(rotation, begin, end);
  });
}

// The stream's token, after the branch was added; returns the sum of its channels.
template <class Element>
HWY_INLINE float add_branch(const ResidualNorm& step, std::int64_t token) {
  const FloatTag tag;
  const auto width = static_cast<std::size_t>(step.width);
  Element* stream = static_cast<Element*>(step.stream) + token * step.width;
  const Element* branch = static_cast<const Element*>(step.branch) + token * step.width;
  const auto* scale = static_cast<const Element*>(step.scale);
  FloatVector sum = hn::Zero(tag);
  for_vectors(width, [&](std::size_t at, const auto& load, const auto& store) {
    FloatVector x = load(stream + at);
    if (step.branch != nullptr) {
      x = hn::MulAdd(load(branch + at), scale != nullptr ? load(scale + at) : hn::Set(tag, 1.0f), x);
      store(x, stream + at);
      x = load(stream + at);   // what is normalised is what is kept: rounded
    }
    sum = hn::Add(sum, x);
  });
  return hn::GetLane(hn::SumOfLanes(tag, sum));
}

template <class Element>
HWY_INLINE void normalise(const ResidualNorm& step, std::int64_t token, float sum) {
  const FloatTag tag;
  const auto width = static_cast<std::size_t>(step.width);
  const Element* stream = static_cast<const Element*>(step.stream) + token * step.width;
  Element* normalised = static_cast<Element*>(step.normalised) + token * step.width;
  const auto *weight = static_cast<const Element*>(step.weight), *bias = static_cast<const Element*>(step.bias);
  const FloatVector mean = hn::Set(tag, sum / static_cast<float>(step.width));
  FloatVector squares = hn::Zero(tag);
  for_vectors(width, [&](std::size_t at, const auto& load, const auto&) {
    const FloatVector apart = hn::Sub(load(stream + at), mean);
    squares = hn::Add(squares, hn::IfThenElseZero(hn::FirstN(tag, width - at), hn::Mul(apart, apart)));
  });
  const float variance = hn::GetLane(hn::SumOfLanes(tag, squares)) / static_cast<float>(step.width);
  const FloatVector inverse = hn::Set(tag, 1.0f / std::sqrt(variance + step.epsilon));
  for_vectors(width, [&](std::size_t at, const auto& load, const auto& store) {
    store(hn::MulAdd(hn::Mul(hn::Sub(load(stream + at), mean), inverse), load(weight + at), load(bias + at)), normalised + at);
  });
}

void add_and_normalise_tokens(const ResidualNorm& step, std::int64_t begin, std::int64_t end) {
  with_element_type(step.dtype, [&](auto* element) {
    using Element = std::remove_pointer_t<decltype(element)>;
    for (std::int64_t token = begin; token < end; ++token) {
      const float sum = add_branch<Element>(step, token);
      if (step.normalised != nullptr) normalise<Element>(step, token, sum);
    }
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace fovea::kernels::cpu
HWY_AFTER_NAMESPACE();

#endif
