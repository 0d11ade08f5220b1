#include "core/attention/analysis/cuda_products.h"

#include <ATen/ATen.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include "core/attention/analysis/attention_blocks.h"
#include "core/attention/analysis/attention_products.h"
#include "core/attention/analysis/kernel_scores.h"
#include "core/attention/cuda_check.h"
#include "kernels/attention_products_cuda.h"

namespace fovea::analysis::cuda_products {
namespace {

int compute_capability(const at::Tensor& tensor) {
  int major = 0, minor = 0;
  cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, tensor.get_device());
  cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, tensor.get_device());
  return 10 * major + minor;
}

kernels::HeadFusion kernel_fusion(const HeadChoice& heads) {
  if (heads.fusion == HeadFusion::kMax) return kernels::HeadFusion::kMaximum;
  return heads.fusion == HeadFusion::kMin ? kernels::HeadFusion::kMinimum : kernels::HeadFusion::kMean;
}

bool has_weight(const at::Tensor& values) { return values.numel() > 0 && values.ne(0).any().item<bool>(); }

// Device, stream and workspace of one call.
class Launch {
 public:
  explicit Launch(const AttentionLayer& layer)
      : guard_(layer.query.device()), scores_(layer),
        workspace_(at::empty({static_cast<std::int64_t>(kernels::cuda::products_workspace_bytes(scores_.scores))},
                             layer.query.options().dtype(at::kByte))) {
    const c10::impl::VirtualGuardImpl device(c10::DeviceType::CUDA);
    stream_ = static_cast<cudaStream_t>(device.getStreamNativeHandle(device.getStream(layer.query.device())));
  }
  const kernels::AttentionScores& scores() const { return scores_.scores; }
  void* workspace() const { return workspace_.numel() > 0 ? workspace_.mutable_data_ptr() : nullptr; }
  cudaStream_t stream() const { return stream_; }

 private:
  c10::DeviceGuard guard_;
  KernelScores scores_;
  at::Tensor workspace_;
  cudaStream_t stream_ = nullptr;
};

void check(cudaError_t status) { check_cuda(status, "attention analysis on the GPU"); }

// Log-sum-exp of the queries of a rectangle and of the globals, and who owns the memory.
struct KnownLse {
  at::Tensor grid{}, globals{};
  kernels::LsePlanes<const float> planes{};
};

KnownLse lse_of(const AttentionLayer& layer, const Launch& launch, const GridRect& rect, bool with_globals) {
  KnownLse known;
  const auto globals = layer.global_tokens();
  if (layer.lse.defined() && layer.lse.size(1) == layer.tokens()) {
    known.grid = layer.lse.to(at::kFloat).contiguous();
    const float* data = known.grid.const_data_ptr<float>();
    known.planes = {.grid = data + globals, .rect = token_rect(layer.grid_rect()), .head_stride = layer.tokens(), .globals = data,
                    .global_head_stride = layer.tokens()};
    return known;
  }
  const auto options = layer.query.options().dtype(at::kFloat);
  known.grid = at::empty({layer.heads(), rect.height, rect.width}, options);
  const bool compute_globals = with_globals && !layer.lse.defined();
  known.globals = layer.lse.defined() ? layer.lse.to(at::kFloat).contiguous() : at::empty({layer.heads(), globals}, options);
  const kernels::LsePlanes<float> result{.grid = known.grid.data_ptr<float>(), .rect = token_rect(rect), .head_stride = rect.area(),
                                         .globals = compute_globals ? known.globals.data_ptr<float>() : nullptr,
                                         .global_head_stride = globals};
  check(kernels::cuda::attention_lse(launch.scores(), result, launch.workspace(), launch.stream()));
  known.planes = {.grid = result.grid, .rect = result.rect, .head_stride = result.head_stride,
                  .globals = known.globals.const_data_ptr<float>(), .global_head_stride = known.globals.size(1)};
  return known;
}

struct Question {
  kernels::ProductSide side;
  HeadChoice heads;
  RowSums sums;
  TokenMap input;
  GridRect queries, output;        // whose log-sum-exp is needed; what is written
};

TokenMap run(const AttentionLayer& layer, const Question& question, bool global_input) {
  const Launch launch(layer);
  const auto values = question.input.values.contiguous(), global_values = question.input.globals.contiguous();
  TokenMap result{.grid = layer.pattern.grid, .globals = at::zeros_like(global_values), .support = question.output,
                  .values = at::empty({question.output.height, question.output.width}, values.options())};
  const bool columns = question.side == kernels::ProductSide::kAttentionTimesColumn;
  const auto known = lse_of(layer, launch, question.queries, columns || global_input);
  const kernels::AttentionProduct product{
      .scores = launch.scores(), .fusion = kernel_fusion(question.heads), .rows_sum_to_one = question.sums == RowSums::kOne,
      .side = question.side, .input_rect = token_rect(question.input.support),
      .input = values.numel() > 0 ? values.const_data_ptr<float>() : nullptr,
      .input_globals = global_input ? global_values.const_data_ptr<float>() : nullptr, .output_rect = token_rect(question.output),
      .output = result.values.numel() > 0 ? result.values.data_ptr<float>() : nullptr,
      .output_globals = layer.global_tokens() > 0 ? result.globals.data_ptr<float>() : nullptr};
  check(kernels::cuda::attention_product(product, known.planes, launch.workspace(), launch.stream()));
  return result;
}

}  // namespace

bool runs(const AttentionLayer& layer, const HeadChoice& heads) {
  if (!layer.query.is_cuda() || layer.dense()) return false;
  const KernelScores scores(layer);
  return kernels::cuda::products_unsupported(scores.scores, kernel_fusion(heads), compute_capability(layer.query)) == nullptr;
}

at::Tensor row_lse(const AttentionLayer& layer) {
  const Launch launch(layer);
  auto lse = at::empty({layer.heads(), layer.tokens()}, layer.query.options().dtype(at::kFloat));
  const auto globals = layer.global_tokens();
  const kernels::LsePlanes<float> result{.grid = lse.data_ptr<float>() + globals, .rect = token_rect(layer.grid_rect()),
                                         .head_stride = layer.tokens(), .globals = globals > 0 ? lse.data_ptr<float>() : nullptr,
                                         .global_head_stride = layer.tokens()};
  check(kernels::cuda::attention_lse(launch.scores(), result, launch.workspace(), launch.stream()));
  return lse;
}

TokenMap times_attention(const TokenMap& r, const AttentionLayer& layer, const HeadChoice& heads, RowSums sums) {
  const bool global_input = has_weight(r.globals);
  const auto output = global_input ? layer.grid_rect() : within_reach(layer, r.support);
  const Question question{.side = kernels::ProductSide::kRowTimesAttention, .heads = heads, .sums = sums, .input = r,
                          .queries = r.support, .output = output};
  return run(chosen_heads(layer, heads), question, global_input);
}

TokenMap attention_times(const AttentionLayer& layer, const TokenMap& c, const GridRect& rect, const HeadChoice& heads, RowSums sums) {
  const Question question{.side = kernels::ProductSide::kAttentionTimesColumn, .heads = heads, .sums = sums, .input = c,
                          .queries = rect, .output = rect};
  return run(chosen_heads(layer, heads), question, has_weight(c.globals));
}

}  // namespace fovea::analysis::cuda_products
