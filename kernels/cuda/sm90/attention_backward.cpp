// The sm90 back end's backward: what it takes, the workspace it wants, and its launches.
#include <cuda_runtime_api.h>

#include "kernels/attention_cuda.h"
#include "kernels/cuda/sm90/backward_kernels.h"
#include "kernels/cuda/sm90/forward_plan.h"
#include "kernels/cuda/sm90/requirements.h"
#include "kernels/cuda/sm90/tensor_maps.h"

namespace fovea::kernels::sm90 {
namespace {

struct BackwardPlan {
  Schedule schedule;
  int slots_per_cta, slots;
  std::size_t directory_offset, partials_offset, workspace_bytes;              // delta comes first
};

std::size_t aligned(std::size_t bytes) { return (bytes + 255) / 256 * 256; }

bool make_plan(const AttentionShape& shape, BackwardPlan& plan) {
  plan = {};
  if (!make_schedule(shape, multiprocessors(), plan.schedule)) return false;
  plan.slots_per_cta = shape.global_tokens > 0 ? slots_per_cta(plan.schedule) : 0;
  plan.slots = plan.slots_per_cta * plan.schedule.ctas;
  plan.directory_offset = aligned(sizeof(float) * static_cast<std::size_t>(shape.batch * shape.heads * shape.tokens()));
  plan.partials_offset = plan.directory_offset + aligned(sizeof(std::int32_t) * static_cast<std::size_t>(plan.slots));
  const std::size_t numbers = std::size_t{3} * kGradientColumns * static_cast<std::size_t>(plan.slots) *
                              static_cast<std::size_t>(shape.global_tokens);
  plan.workspace_bytes = plan.partials_offset + aligned(sizeof(float) * numbers);
  return true;
}

// A call's pieces: the plan, and pointers into the workspace.
class Call {
 public:
  Call(const AttentionBackward& parameters, const BackwardPlan& plan, void* workspace)
      : p_(parameters), plan_(plan), delta_(static_cast<float*>(workspace)),
        partials_{reinterpret_cast<float*>(static_cast<unsigned char*>(workspace) + plan.partials_offset),
                  reinterpret_cast<std::int32_t*>(static_cast<unsigned char*>(workspace) + plan.directory_offset), plan.slots} {}

  const BackwardKernels& kernels() const {
    return p_.dtype == DataType::kBFloat16 ? bfloat16_backward_kernels() : float16_backward_kernels();
  }

  DeltaArguments delta_arguments() const {
    DeltaArguments a{};
    a.output = p_.output, a.grad_output = p_.grad_output;
    a.grad_lse = p_.grad_lse;
    a.delta = delta_;
    a.tokens = p_.shape.tokens();
    a.rows = p_.shape.batch * p_.shape.heads * a.tokens;
    a.heads = p_.shape.heads, a.head_dim = p_.shape.head_dim;
    return a;
  }

  // false: the driver refused a tensor map.
  bool gradient_arguments(Pass pass, BackwardArguments& a) const {
    const bool query = pass == Pass::kQuery;
    const ConstView first[2] = {query ? p_.query : p_.key, query ? p_.grad_output : p_.value};
    const ConstView streamed[2] = {query ? p_.key : p_.query, query ? p_.value : p_.grad_output};
    constexpr TokenBox kTileBox{kTile, kTile}, kStageBox{kPanelColumns, kPairRows};
    for (int i = 0; i < 2; ++i) {
      for (int g = 0; g < plan_.schedule.group_count; ++g) {
        const DilationGroup& group = plan_.schedule.groups[g];
        if (!encode_grid_map(a.grid[g].tile[i], first[i], p_.shape, p_.dtype, group, kTileBox) ||
            !encode_grid_map(a.grid[g].stream[i], streamed[i], p_.shape, p_.dtype, group, kStageBox))
          return false;
      }
      const int count = p_.shape.global_tokens;
      if (count > 0 && !encode_token_map(a.globals[i], streamed[i], p_.shape, p_.dtype, count, kGlobalBlock)) return false;
    }
    a.schedule = plan_.schedule;
    a.result[0] = {query ? p_.grad_query : p_.grad_key, p_.scale};
    a.result[1] = {p_.grad_value, 1.0f};
    a.partials = partials_;
    a.lse = p_.lse, a.delta = delta_;
    a.tokens = p_.shape.tokens();
    a.scale_log2 = p_.scale * kLog2E;
    a.grid_width = static_cast<int>(p_.shape.grid_width);
    a.global_tokens = p_.shape.global_tokens, a.head_dim = p_.shape.head_dim;
    a.slots_per_cta = plan_.slots_per_cta;
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
  const AttentionBackward& p_;
  const BackwardPlan& plan_;
  float* delta_;
  GlobalGradients partials_;
};

}  // namespace

const char* backward_unsupported(const AttentionBackward& p, int compute_capability) {
  const AttentionShape& shape = p.shape;
  if (const char* problem = shape_problem(shape, {p.dtype, p.scale, compute_capability})) return problem;
  if (shape.head_dim == 128) return "takes head_dim 32 and 64 backward";
  if (shape.global_tokens > kMostGlobalsInTile) return "takes at most 16 global tokens backward";
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
  return p.shape.batch > 0 && make_plan(p.shape, plan) ? plan.workspace_bytes : 0;
}

cudaError_t attention_backward(const AttentionBackward& p, void* workspace, cudaStream_t stream) {
  if (p.shape.batch == 0) return cudaSuccess;
  BackwardPlan plan;
  if (!make_plan(p.shape, plan)) return cudaErrorInvalidValue;
  const Call call(p, plan, workspace);
  BackwardArguments query{}, key{};
  if (!call.gradient_arguments(Pass::kQuery, query) || !call.gradient_arguments(Pass::kKey, key)) return cudaErrorInvalidValue;
  const BackwardKernels& kernels = call.kernels();
  cudaError_t error = kernels.delta(call.delta_arguments(), stream);
  if (error == cudaSuccess) error = kernels.query_gradients(query, stream);
  if (error == cudaSuccess) error = kernels.key_gradients(key, stream);
  if (error != cudaSuccess || p.shape.global_tokens == 0) return error;
  return kernels.merge(call.merge_arguments(), static_cast<int>(p.shape.batch * p.shape.heads), stream);
}

}  // namespace fovea::kernels::sm90
