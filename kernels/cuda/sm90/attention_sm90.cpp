// The sm90 back end's face: what it takes, the workspace it wants, and its launches.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <iterator>

#include "kernels/attention_cuda.h"
#include "kernels/cuda/sm90/backward_arguments.h"
#include "kernels/cuda/sm90/global_arguments.h"
#include "kernels/cuda/sm90/forward_plan.h"
#include "kernels/cuda/sm90/kernel_set.h"
#include "kernels/cuda/sm90/requirements.h"
#include "kernels/cuda/sm90/tensor_maps.h"

namespace fovea::kernels::sm90 {
namespace {

const KernelSet& kernels_of(const AttentionForward& parameters, const ForwardPlan& plan) {
  return parameters.dtype == DataType::kBFloat16 ? bfloat16_kernels(plan.compiled_head_dim) : float16_kernels(plan.compiled_head_dim);
}

PartialResults partial_results(const ForwardPlan& plan, void* workspace) {
  auto* bytes = static_cast<unsigned char*>(workspace);
  return {reinterpret_cast<float*>(bytes + plan.partials_offset), static_cast<std::int32_t*>(workspace), plan.slots,
          plan.compiled_head_dim};
}

OutputView output_view(const AttentionForward& p) {
  return {p.output.data, p.output.batch_stride, p.output.token_stride, p.output.head_stride, p.lse};
}

bool encode_maps(const AttentionForward& p, const ForwardPlan& plan, ForwardArguments& arguments) {
  const AttentionShape& shape = p.shape;
  const TokenBox queries{kTile, 1}, keys{kPanelColumns, plan.schedule.band_rows}, results{kTile, 1};
  for (int g = 0; g < plan.schedule.group_count; ++g) {
    Operands& maps = arguments.grid[g];
    const DilationGroup& group = plan.schedule.groups[g];
    if (!encode_grid_map(maps.query, p.query, shape, p.dtype, group, queries) ||
        !encode_grid_map(maps.key, p.key, shape, p.dtype, group, keys) ||
        !encode_grid_map(maps.value, p.value, shape, p.dtype, group, keys) ||
        !encode_grid_map(arguments.results[g], as_const(p.output), shape, p.dtype, group, results))
      return false;
  }
  if (shape.global_tokens == 0) return true;
  const int count = shape.global_tokens;
  return (plan.rider_rows == 0 || encode_token_map(arguments.globals.query, p.query, shape, p.dtype, count, plan.rider_rows)) &&
         encode_token_map(arguments.globals.key, p.key, shape, p.dtype, count, plan.global_rows) &&
         encode_token_map(arguments.globals.value, p.value, shape, p.dtype, count, plan.global_rows);
}

cudaError_t launch_grid(const AttentionForward& p, const ForwardPlan& plan, void* workspace, cudaStream_t stream) {
  ForwardArguments arguments{};
  if (!encode_maps(p, plan, arguments)) return cudaErrorInvalidValue;
  arguments.schedule = plan.schedule;
  arguments.output = output_view(p);
  arguments.partials = partial_results(plan, workspace);
  arguments.tokens = p.shape.tokens();
  arguments.scale_log2 = p.scale * kLog2E;
  arguments.grid_width = static_cast<int>(p.shape.grid_width);
  arguments.global_tokens = p.shape.global_tokens;
  arguments.head_dim = p.shape.head_dim;
  arguments.global_rows = plan.global_rows;
  arguments.rider_rows = plan.rider_rows;
  arguments.stages = plan.compiled_head_dim == 64 ? ForwardConfig<64>::stages(plan.global_rows, plan.rider_rows)
                                                  : ForwardConfig<128>::stages(plan.global_rows, plan.rider_rows);
  std::copy(std::begin(plan.first_slot), std::end(plan.first_slot), arguments.first_slot);
  return kernels_of(p, plan).forward(arguments, stream);
}

cudaError_t launch_global_queries(const AttentionForward& p, const ForwardPlan& plan, void* workspace, cudaStream_t stream) {
  const AttentionShape& shape = p.shape;
  SplitArguments arguments{};
  if (!encode_token_map(arguments.tokens.query, p.query, shape, p.dtype, shape.global_tokens, kQueryRows) ||
      !encode_token_map(arguments.tokens.key, p.key, shape, p.dtype, shape.tokens(), kSplitKeys) ||
      !encode_token_map(arguments.tokens.value, p.value, shape, p.dtype, shape.tokens(), kSplitKeys))
    return cudaErrorInvalidValue;
  arguments.partials = partial_results(plan, workspace);
  arguments.token_count = shape.tokens();
  arguments.scale_log2 = p.scale * kLog2E;
  arguments.heads = shape.heads;
  arguments.global_tokens = shape.global_tokens;
  arguments.splits = plan.splits;
  arguments.stages_per_split = plan.stages_per_split;
  return kernels_of(p, plan).global_queries(arguments, static_cast<int>(shape.batch * shape.heads), stream);
}

cudaError_t launch_merge(const AttentionForward& p, const ForwardPlan& plan, void* workspace, cudaStream_t stream) {
  MergeArguments arguments{};
  arguments.partials = partial_results(plan, workspace);
  arguments.output = output_view(p);
  arguments.tokens = p.shape.tokens();
  arguments.heads = p.shape.heads, arguments.head_dim = p.shape.head_dim;
  arguments.global_tokens = p.shape.global_tokens;
  const std::int64_t rows = p.shape.batch * p.shape.heads * p.shape.global_tokens;
  return rows == 0 ? cudaSuccess : kernels_of(p, plan).merge(arguments, static_cast<int>(rows), stream);
}

}  // namespace

const char* forward_unsupported(const AttentionForward& p, int compute_capability) {
  if (const char* problem = shape_problem(p.shape, {p.dtype, p.scale, compute_capability})) return problem;
  if (p.shape.batch == 0) return nullptr;
  for (const ConstView& view : {p.query, p.key, p.value, as_const(p.output)}) {
    if (view.data == nullptr) continue;   // whoever chooses a back end asks before the output exists
    if (const char* problem = addressing_problem(view, p.shape)) return problem;
  }
  return schedule_problem(p.shape);
}

std::size_t forward_workspace_bytes(const AttentionForward& p) {
  ForwardPlan plan;
  if (p.shape.batch == 0 || !make_plan(p, multiprocessors(), plan)) return 0;
  return plan.workspace_bytes;
}

cudaError_t attention_forward(const AttentionForward& p, void* workspace, cudaStream_t stream) {
  if (p.shape.batch == 0) return cudaSuccess;
  ForwardPlan plan;
  if (!make_plan(p, multiprocessors(), plan)) return cudaErrorInvalidValue;
  cudaError_t error = launch_grid(p, plan, workspace, stream);
  if (error == cudaSuccess && plan.splits > 0) error = launch_global_queries(p, plan, workspace, stream);
  if (error == cudaSuccess) error = launch_merge(p, plan, workspace, stream);
  return error;
}

}  // namespace fovea::kernels::sm90
