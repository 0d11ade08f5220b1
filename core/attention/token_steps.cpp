#include "core/attention/token_steps.h"

#include "core/attention/kernel_parameters.h"
#include "core/attention/token_steps_cuda.h"
#include "core/attention/torch_threads.h"
#include "core/base/error.h"
#include "kernels/token_steps_cpu.h"

namespace fovea {
namespace {

torch::Dtype wide(const torch::Tensor& x) { return x.scalar_type() == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32; }

bool kernels_take(const torch::Tensor& x) {
  const auto dtype = x.scalar_type();
  return (x.is_cpu() || x.is_cuda()) && (dtype == torch::kFloat32 || dtype == torch::kBFloat16 || dtype == torch::kFloat16);
}

// [places, D / 4, 2]
torch::Tensor unit_numbers(std::int64_t places, const RotaryTableOptions& options) {
  const auto real = torch::TensorOptions(torch::kFloat64).device(options.device);
  const std::int64_t frequencies = options.head_dim / 4;
  const auto frequency = torch::pow(options.base, torch::arange(frequencies, real) / -static_cast<double>(frequencies));
  const auto angles = torch::outer(torch::arange(places, real), frequency);
  return torch::stack({angles.cos(), angles.sin()}, -1).to(options.dtype == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32);
}

void rotate_by_torch(const torch::Tensor& packed, std::int64_t first_token, const RotaryTables& tables) {
  const std::int64_t columns = tables.columns.size(0);
  const auto places = torch::arange(first_token, first_token + packed.size(0), torch::TensorOptions(torch::kInt64).device(packed.device()));
  const auto rows = torch::div(places, columns, "floor");
  const auto units = torch::cat({tables.rows.index_select(0, rows), tables.columns.index_select(0, places - rows * columns)}, 1);
  const auto turned = packed.narrow(1, 0, 2);
  const auto numbers = torch::view_as_complex(turned.to(wide(packed)).unflatten(-1, {-1, 2}).contiguous());
  turned.copy_(torch::view_as_real(numbers * torch::view_as_complex(units).unsqueeze(1).unsqueeze(1)).flatten(-2));
}

void add_by_torch(const Residual& residual, const Normalisation* norm, const torch::Tensor& normalised) {
  if (residual.branch.defined()) {
    auto stream = residual.stream;
    if (residual.scale.defined()) stream.addcmul_(residual.branch, residual.scale);
    else stream.add_(residual.branch);
  }
  if (norm == nullptr) return;
  normalised.copy_(torch::layer_norm(residual.stream, {residual.stream.size(1)}, norm->weight, norm->bias, norm->eps));
}

const void* data_or_null(const torch::Tensor& x) { return x.defined() ? x.const_data_ptr() : nullptr; }

void add_and_normalise(const Residual& residual, const Normalisation* norm, const torch::Tensor& normalised) {
  const auto& stream = residual.stream;
  require(stream.dim() == 2 && stream.is_contiguous() && (!residual.branch.defined() || residual.branch.is_contiguous()),
          "add_residual: stream and branch must be [n, C], contiguous");
  kernels::ResidualNorm step{.dtype = kernel_data_type(stream.scalar_type()), .count = stream.size(0),
                             .width = static_cast<int>(stream.size(1)), .epsilon = 0, .branch = data_or_null(residual.branch), .scale = data_or_null(residual.scale),
                             .weight = nullptr, .bias = nullptr, .stream = stream.mutable_data_ptr(), .normalised = nullptr};
  if (norm != nullptr) {
    require(normalised.sizes() == stream.sizes() && normalised.is_contiguous(), "add_residual_and_normalise: the result is like the stream");
    step.epsilon = static_cast<float>(norm->eps);
    step.weight = norm->weight.const_data_ptr();
    step.bias = norm->bias.const_data_ptr();
    step.normalised = normalised.mutable_data_ptr();
  }
  if (!kernels_take(stream)) return add_by_torch(residual, norm, normalised);
  if (stream.is_cpu()) return kernels::cpu::add_residual_and_normalise(step, run_on_torch_threads);
  if (!cuda_steps::add_residual_and_normalise(step, stream.device())) add_by_torch(residual, norm, normalised);
}

// One part: products in at least float32.
GlobalParts attend_by_torch(const torch::Tensor& query, const torch::Tensor& key, const torch::Tensor& value) {
  const auto by_heads = [&](const torch::Tensor& x) { return x.transpose(0, 1).to(query.scalar_type()); };   // [heads, n, D]
  const auto scores = torch::matmul(query, by_heads(key).transpose(1, 2));
  const auto lse = scores.logsumexp(-1, /*keepdim=*/true);
  const auto values = torch::matmul((scores - lse).exp_(), by_heads(value));
  return {.lse = lse.squeeze(-1).unsqueeze(0), .values = values.unsqueeze(0)};
}

kernels::ConstView view_of(const torch::Tensor& x) { return {x.const_data_ptr(), 0, x.stride(0), x.stride(1)}; }

}  // namespace

RotaryTables rotary_tables(const RotaryTableOptions& options) {
  return {.rows = unit_numbers(options.grid[0], options), .columns = unit_numbers(options.grid[1], options)};
}

void rotate_packed(const torch::Tensor& packed, std::int64_t first_token, const RotaryTables& tables) {
  require(packed.dim() == 4 && packed.size(1) == 3 && packed.is_contiguous(), "rotate_packed: [n, 3, heads, D], contiguous");
  if (!kernels_take(packed)) return rotate_by_torch(packed, first_token, tables);
  const kernels::PackedRotation rotation{
      .dtype = kernel_data_type(packed.scalar_type()), .packed = packed.mutable_data_ptr(), .first_token = first_token,
      .count = packed.size(0), .columns = tables.columns.size(0), .heads = static_cast<int>(packed.size(2)),
      .head_dim = static_cast<int>(packed.size(3)), .row_factors = tables.rows.const_data_ptr<float>(),
      .column_factors = tables.columns.const_data_ptr<float>()};
  if (packed.is_cpu()) return kernels::cpu::rotate_packed(rotation, run_on_torch_threads);
  if (!cuda_steps::rotate_packed(rotation, packed.device())) rotate_by_torch(packed, first_token, tables);
}

void add_residual(const Residual& residual) { add_and_normalise(residual, nullptr, {}); }

void add_residual_and_normalise(const Residual& residual, const Normalisation& norm, const torch::Tensor& normalised) {
  add_and_normalise(residual, &norm, normalised);
}

GlobalParts attend_from_globals(const torch::Tensor& query, const torch::Tensor& key, const torch::Tensor& value) {
  if (!kernels_take(key)) return attend_by_torch(query, key, value);
  const std::int64_t heads = query.size(0), globals = query.size(1), dim = query.size(2);
  kernels::GlobalSlices part{.dtype = kernel_data_type(key.scalar_type()), .heads = static_cast<int>(heads),
                             .head_dim = static_cast<int>(dim), .global_tokens = static_cast<int>(globals), .query = query.const_data_ptr<float>(), .key = view_of(key),
                             .value = view_of(value), .count = key.size(0), .lse = nullptr, .values = nullptr};
  const GlobalParts parts{.lse = torch::empty({part.slices(), heads, globals}, query.options()),
                          .values = torch::empty({part.slices(), heads, globals, dim}, query.options())};
  part.lse = parts.lse.mutable_data_ptr<float>();
  part.values = parts.values.mutable_data_ptr<float>();
  if (key.is_cpu()) {
    kernels::cpu::attend_from_globals(part, run_on_torch_threads);
    return parts;
  }
  return cuda_steps::attend_from_globals(part, key.device()) ? parts : attend_by_torch(query, key, value);
}

}  // namespace fovea
