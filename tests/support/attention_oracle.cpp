#include "tests/support/attention_oracle.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <cmath>
#include <cstdlib>
#include <limits>
#include <sstream>

namespace fovea::test {
namespace {

bool within(std::int64_t from, std::int64_t to, std::int64_t window, std::int64_t dilation) {
  const std::int64_t distance = std::llabs(to - from);
  return distance % dilation == 0 && distance / dilation <= (window - 1) / 2;
}

}  // namespace

std::string describe(const AttentionProblem& problem) {
  std::ostringstream text;
  const AttentionPattern& pattern = problem.pattern;
  text << "grid " << pattern.grid[0] << "x" << pattern.grid[1] << ", " << pattern.global_tokens << " global, window " << pattern.window[0]
       << "x" << pattern.window[1] << ", dilation";
  for (const std::int64_t step : pattern.dilation) text << " " << step;
  text << ", batch " << problem.batch << ", heads " << problem.heads << ", D " << problem.head_dim;
  if (problem.scale) text << ", scale " << *problem.scale;
  return text.str();
}

AttentionInputs random_inputs(const AttentionProblem& problem, std::uint64_t seed, at::ScalarType dtype, at::Device device) {
  at::Generator generator = at::detail::createCPUGenerator(seed);
  const at::Tensor packed = at::randn({problem.batch, problem.tokens(), 3, problem.heads, problem.head_dim}, generator, at::kFloat)
                                .to(dtype).to(device);
  return {packed.select(2, 0), packed.select(2, 1), packed.select(2, 2)};
}

bool sees(const AttentionProblem& problem, std::int64_t head, std::int64_t q, std::int64_t k) {
  const AttentionPattern& pattern = problem.pattern;
  if (q < pattern.global_tokens || k < pattern.global_tokens) return true;
  const std::int64_t dilation = pattern.dilation[pattern.dilation.size() == 1 ? 0 : static_cast<std::size_t>(head)];
  const std::int64_t width = pattern.grid[1], from = q - pattern.global_tokens, to = k - pattern.global_tokens;
  return within(from / width, to / width, pattern.window[0], dilation) && within(from % width, to % width, pattern.window[1], dilation);
}

at::Tensor definition_mask(const AttentionProblem& problem) {
  const std::int64_t tokens = problem.tokens();
  const at::Tensor mask = at::empty({problem.heads, tokens, tokens}, at::kFloat);
  float* entry = mask.mutable_data_ptr<float>();
  for (std::int64_t head = 0; head < problem.heads; ++head) {
    for (std::int64_t q = 0; q < tokens; ++q) {
      for (std::int64_t k = 0; k < tokens; ++k) *entry++ = sees(problem, head, q, k) ? 0.0F : -std::numeric_limits<float>::infinity();
    }
  }
  return mask;
}

AttentionResult dense_masked(const AttentionProblem& problem, const at::Tensor& mask, const AttentionInputs& inputs) {
  const auto by_head = [](const at::Tensor& tensor) { return tensor.cpu().transpose(1, 2); };
  const double scale = problem.scale.value_or(1.0 / std::sqrt(static_cast<double>(problem.head_dim)));
  const at::Tensor scores = at::matmul(by_head(inputs.query), by_head(inputs.key).transpose(2, 3)) * scale +
                            mask.to(inputs.query.scalar_type());
  const at::Tensor output = at::matmul(at::softmax(scores, 3), by_head(inputs.value)).transpose(1, 2);
  return {output, at::logsumexp(scores, {3})};
}

AttentionInputs converted(const AttentionInputs& inputs, at::ScalarType dtype, at::Device device) {
  return {inputs.query.to(dtype).to(device), inputs.key.to(dtype).to(device), inputs.value.to(dtype).to(device)};
}

}  // namespace fovea::test
