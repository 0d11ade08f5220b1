// The sm90 back end's backward: what it takes, the workspace it wants, and its launches.
#include <cuda_runtime_api.h>

#include "kernels/attention_cuda.h"
#include "kernels/cuda/sm90/backward_kernels.h"
#include "kernels/cuda/sm90/backward_plan.h"
#include "kernels/cuda/sm90/forward_plan.h"
#include "kernels/cuda/sm90/requirements.h"
#include "kernels/cuda/sm90/tensor_maps.h"

namespace fovea::kernels::sm90 {
namespace {

// A call's pieces: the plan, and pointers into the workspace.
class Call {
 public:
  Call(const AttentionBackward& parameters, const BackwardPlan& plan, void* workspace)
      : p_(parameters), plan_(plan), delta_(static_cast<float*>(workspace)),
        partials_{reinterpret_cast<float*>(static_cast<unsigned char*>(workspace) + plan.partials_offset),
                  reinterpret_cast<std::int32_t*>(static_cast<unsigned char*>(workspace) + plan.directory_offset), plan.slots,
                  plan.compiled_head_dim} {}

  const BackwardKernels& kernels() const {
    const bool rides = plan_.slots_per_cta > 0;
    return p_.dtype == DataType::kBFloat16 ? bfloat16_backward_kernels(plan_.compiled_head_dim, rides)
                                           : float16_backward_kernels(plan_.compiled_head_dim, rides);
  }

  DeltaArguments delta_arguments() const {
    DeltaArguments a{};
    a.output = p_.output, a.grad_output = p_.grad_output;
    a.grad_lse = p_.grad_lse;
    a.delta = delta_;
    a.tokens = p_.shape.tokens();
    a.tokens_asked = makes_delta() ? p_.shape.global_tokens : a.tokens;
    a.rows = p_.shape.batch * p_.shape.heads * a.tokens_asked;
    a.heads = p_.shape.heads, a.head_dim = p_.shape.head_dim;
    return a;
  }

  // false: the driver refused a tensor map.
  bool gradient_arguments(Pass pass, BackwardArguments& a) const {
    const bool query = pass == Pass::kQuery;
    const ConstView first[2] = {query ? p_.query : p_.key, query ? p_.grad_output : p_.value};
    const ConstView streamed[2] = {query ? p_.key : p_.query, query ? p_.value : p_.grad_output};
    const ConstView results[2] = {as_const(query ? p_.grad_query : p_.grad_key), as_const(p_.grad_value)};
    constexpr TokenBox kTileBox{kTile, kTile}, kStageBox{kPanelColumns, kPairRows}, kResultBox{kTile, kPairRows};
    for (int g = 0; query && makes_delta() && g < plan_.schedule.group_count; ++g)
      if (!encode_grid_map(a.grid[g].tile[2], p_.output, p_.shape, p_.dtype, plan_.schedule.groups[g], kTileBox)) return false;
    for (int i = 0; i < 2; ++i) {
      for (int g = 0; g < plan_.schedule.group_count; ++g) {
        const DilationGroup& group = plan_.schedule.groups[g];
        if (!encode_grid_map(a.grid[g].tile[i], first[i], p_.shape, p_.dtype, group, kTileBox) ||
            !encode_grid_map(a.grid[g].stream[i], streamed[i], p_.shape, p_.dtype, group, kStageBox) ||
            !encode_grid_map(a.grid[g].result[i], results[i], p_.shape, p_.dtype, group, kResultBox))
          return false;
      }
      const int count = p_.shape.global_tokens;
      if (count > 0 && !encode_token_map(a.globals[i], streamed[i], p_.shape, p_.dtype, count, plan_.global_rows)) return false;
    }
    a.schedule = plan_.schedule;
    a.factor[0] = p_.scale, a.factor[1] = 1.0f;
    a.partials = partials_;
    a.lse = p_.lse, a.grad_lse = p_.grad_lse, a.delta = delta_;
    a.tokens = p_.shape.tokens();
    a.scale_log2 = p_.scale * kLog2E;
    a.grid_width = static_cast<int>(p_.shape.grid_width);
    a.global_tokens = p_.shape.global_tokens, a.head_dim = p_.shape.head_dim;
    a.global_rows = plan_.global_rows, a.stages = plan_.stages[query ? 0 : 1];
    a.slots_per_cta = plan_.slots_per_cta;
    return true;
  }

  // The global tokens meet the grid. false: the driver refused a tensor map.
  bool global_pass_arguments(Pass pass, GlobalPassArguments& a) const {
    const bool query = pass == Pass::kQuery;
    const ConstView first[2] = {query ? p_.query : p_.key, query ? p_.grad_output : p_.value};
    const ConstView streamed[2] = {query ? p_.key : p_.query, query ? p_.value : p_.grad_output};
    a.tokens = p_.shape.tokens();
    a.grid_tokens = p_.shape.grid_height * p_.shape.grid_width;
    for (int i = 0; i < 2; ++i)
      if (!encode_token_map(a.tile[i], first[i], p_.shape, p_.dtype, p_.shape.global_tokens, kQueryRows) ||
          !encode_token_map(a.stream[i], after_globals(streamed[i]), p_.shape, p_.dtype, a.grid_tokens, kPairKeys))
        return false;
    a.partials = partials_;
    a.lse = p_.lse, a.delta = delta_;
    a.scale_log2 = p_.scale * kLog2E;
    a.heads = p_.shape.heads, a.global_tokens = p_.shape.global_tokens;
    a.splits = plan_.splits, a.stages_per_split = plan_.stages_per_split;
    return true;
  }

  GlobalMergeArguments merge_arguments() const {
    GlobalMergeArguments a{};
    a.partials = partials_;
    a.query = p_.query, a.key = p_.key, a.value = p_.value, a.grad_output = p_.grad_output;
    a.result[0] = {p_.grad_query, p_.scale}, a.result[1] = {p_.grad_key, p_.scale}, a.result[2] = {p_.grad_value, 1.0f};
    a.lse = p_.lse, a.delta = delta_;
    a.tokens = p_.shape.tokens();
    a.scale_log2 = p_.scale * kLog2E;
    a.heads = p_.shape.heads, a.head_dim = p_.shape.head_dim, a.global_tokens = p_.shape.global_tokens;
    return a;
  }

 private:
  bool makes_delta() const { return plan_.compiled_head_dim == 64 && BackwardConfig<Pass::kQuery, 64>::kMakesDelta; }

  ConstView after_globals(ConstView view) const {
    constexpr int kElementBytes = 2;
    view.data = static_cast<const char*>(view.data) + p_.shape.global_tokens * view.token_stride * kElementBytes;
    return view;
  }

  const AttentionBackward& p_;
  const BackwardPlan& plan_;
  float* delta_;
  GlobalGradients partials_;
};

}  // namespace

const char* backward_unsupported(const AttentionBackward& p, int compute_capability) {
  const AttentionShape& shape = p.shape;
  if (const char* problem = shape_problem(shape, {p.dtype, p.scale, compute_capability})) return problem;
  if (shape.batch == 0) return nullptr;
  for (const ConstView& view : {p.query, p.key, p.value, p.output, p.grad_output, as_const(p.grad_query), as_const(p.grad_key),
                                as_const(p.grad_value)}) {
    if (view.data == nullptr) continue;   // whoever chooses a back end asks before the gradients exist
    if (const char* problem = addressing_problem(view, shape)) return problem;
  }
  return schedule_problem(shape);
}

std::size_t backward_workspace_bytes(const AttentionBackward& p) {
  BackwardPlan plan;
  return p.shape.batch > 0 && make_plan(p, multiprocessors(), plan) ? plan.workspace_bytes : 0;
}

cudaError_t attention_backward(const AttentionBackward& p, void* workspace, cudaStream_t stream) {
  if (p.shape.batch == 0) return cudaSuccess;
  BackwardPlan plan;
  if (!make_plan(p, multiprocessors(), plan)) return cudaErrorInvalidValue;
  const Call call(p, plan, workspace);
  const int planes = static_cast<int>(p.shape.batch * p.shape.heads);
  BackwardArguments query{}, key{};
  GlobalPassArguments global_query{}, global_key{};
  if (!call.gradient_arguments(Pass::kQuery, query) || !call.gradient_arguments(Pass::kKey, key)) return cudaErrorInvalidValue;
  if (plan.splits > 0 && (!call.global_pass_arguments(Pass::kQuery, global_query) || !call.global_pass_arguments(Pass::kKey, global_key)))
    return cudaErrorInvalidValue;
  const BackwardKernels& kernels = call.kernels();
  const DeltaArguments delta = call.delta_arguments();
  cudaError_t error = delta.rows > 0 ? kernels.delta(delta, stream) : cudaSuccess;
  if (error == cudaSuccess) error = kernels.query_gradients(query, stream);
  if (error == cudaSuccess) error = kernels.key_gradients(key, stream);
  if (error == cudaSuccess && plan.splits > 0) error = kernels.global_query_gradients(global_query, planes, stream);
  if (error == cudaSuccess && plan.splits > 0) error = kernels.global_key_gradients(global_key, planes, stream);
  if (error != cudaSuccess || p.shape.global_tokens == 0) return error;
  return kernels.merge(call.merge_arguments(), planes, stream);
}

}  // namespace fovea::kernels::sm90
