// Attention analysis on every NVIDIA GPU since Ampere: entry points.
#include "kernels/attention_products_cuda.h"
#include "kernels/cuda/analysis/fused_globals.cuh"
#include "kernels/cuda/analysis/global_sums.cuh"
#include "kernels/cuda/sm80/launch.cuh"

namespace fovea::kernels::cuda {
namespace {

using namespace analysis;

constexpr int kMaxDilation = 255;   // its square counts thread blocks along z

Rect rect_of(const TokenRect& rect) { return {int(rect.y), int(rect.x), int(rect.height), int(rect.width)}; }

Tokens tokens_of(const ConstView& view) { return {view.data, view.token_stride, view.head_stride}; }

std::int64_t slices_of(const AttentionShape& shape, int slice_tokens = kSliceTokens) {
  return (shape.tokens() + slice_tokens - 1) / slice_tokens;
}

// float32 through three TF32 products adds up to 1.4e-5 of error over 128 channels, above the bar of 1e-5: not compiled.
template <class Body>
cudaError_t for_compiled(const AttentionScores& scores, Body body) {
  return for_element_and_dim(scores.dtype, scores.shape.head_dim, [&](auto element, auto dim) {
    if constexpr (sizeof(element) * decltype(dim)::value > 256) return cudaErrorNotSupported;
    else return body(element, dim);
  });
}

// Thread blocks over a rectangle of output, for each phase of the dilation.
dim3 grid_blocks(const Arguments& arguments) {
  const int step = arguments.dilation;
  const auto tiles = [&](int extent, int tile) { return unsigned((extent + step - 1) / step + tile - 1) / tile; };
  return dim3(tiles(arguments.output_rect.width, kTileColumns), tiles(arguments.output_rect.height, kTileRows), unsigned(step * step));
}

int radius_of(int window, std::int64_t side, int dilation) {
  const std::int64_t radius = (window - 1) / 2, most = (side - 1) / dilation;
  return int(radius < most ? radius : most);
}

Arguments common_arguments(const AttentionScores& scores, Mode mode) {
  const AttentionShape& shape = scores.shape;
  Arguments arguments{};
  arguments.own = tokens_of(mode == Mode::kRow ? scores.key : scores.query);
  arguments.other = tokens_of(mode == Mode::kRow ? scores.query : scores.key);
  arguments.height = int(shape.grid_height);
  arguments.width = int(shape.grid_width);
  arguments.globals = arguments.other_globals = shape.global_tokens;
  arguments.scale_log2 = scores.scale * kLog2E;
  arguments.factor = 1.0f / float(shape.heads);
  return arguments;
}

void enter_lse(const LsePlanes<const float>& lse, Arguments& arguments) {
  arguments.lse_rect = rect_of(lse.rect);
  arguments.lse = lse.grid;
  arguments.lse_head_stride = lse.head_stride;
  arguments.global_lse = lse.globals;
  arguments.global_lse_stride = lse.global_head_stride;
}

void enter_input(const AttentionProduct& product, Arguments& arguments) {
  if (product.input_globals == nullptr) arguments.other_globals = 0;
  arguments.input_rect = rect_of(product.input_rect);
  arguments.input = product.input;
  arguments.input_globals = product.input_globals;
}

// Of arguments.dilation.
void enter_radius(const AttentionShape& shape, Arguments& arguments) {
  arguments.radius_y = radius_of(shape.window_height, shape.grid_height, arguments.dilation);
  arguments.radius_x = radius_of(shape.window_width, shape.grid_width, arguments.dilation);
}

// Calls body for every dilation, with its heads entered; stops at the first error.
template <class Body>
cudaError_t for_each_dilation(const AttentionShape& shape, Arguments& arguments, Body body) {
  arguments.accumulate = 0;
  for (int head = 0; head < shape.heads; ++head) {
    bool done = false;
    for (int before = 0; before < head; ++before) done = done || shape.dilation[before] == shape.dilation[head];
    if (done) continue;
    arguments.heads.count = 0;
    for (int other = head; other < shape.heads; ++other) {
      if (shape.dilation[other] == shape.dilation[head]) arguments.heads.index[arguments.heads.count++] = std::uint16_t(other);
    }
    arguments.dilation = shape.dilation[head];
    enter_radius(shape, arguments);
    if (const cudaError_t error = body(); error != cudaSuccess) return error;
    arguments.accumulate = 1;
  }
  return cudaSuccess;
}

template <Mode kMode>
cudaError_t launch_grid(const AttentionScores& scores, Arguments& arguments, cudaStream_t stream) {
  if (arguments.output_rect.height <= 0 || arguments.output_rect.width <= 0) return cudaSuccess;
  const auto launch = [&](auto element, auto dim) {
    return for_each_dilation(scores.shape, arguments, [&] {
      grid_sums<decltype(element), decltype(dim)::value, kMode><<<grid_blocks(arguments), kThreads, 0, stream>>>(arguments);
      return cudaGetLastError();
    });
  };
  return for_compiled(scores, launch);
}

void list_all_heads(const AttentionShape& shape, Arguments& arguments) {
  arguments.heads.count = shape.heads;
  for (int head = 0; head < shape.heads; ++head) arguments.heads.index[head] = std::uint16_t(head);
  arguments.accumulate = 0;
}

template <Mode kMode>
cudaError_t launch_globals(const AttentionScores& scores, Arguments& arguments, Partial* partials, cudaStream_t stream) {
  list_all_heads(scores.shape, arguments);
  const dim3 blocks(unsigned(slices_of(scores.shape)), unsigned(scores.shape.heads));
  return for_compiled(scores, [&](auto element, auto dim) {
    global_sums<decltype(element), decltype(dim)::value, kMode><<<blocks, kThreads, 0, stream>>>(arguments, partials);
    return cudaGetLastError();
  });
}

template <Mode kMode>
cudaError_t run_product(const AttentionProduct& product, Arguments& arguments, Partial* partials, cudaStream_t stream) {
  arguments.output = product.output;
  if (const cudaError_t error = launch_grid<kMode>(product.scores, arguments, stream); error != cudaSuccess) return error;
  if (product.output_globals == nullptr || arguments.globals == 0) return cudaSuccess;
  if (const cudaError_t error = launch_globals<kMode>(product.scores, arguments, partials, stream); error != cudaSuccess) return error;
  finish_globals<kMode><<<unsigned(arguments.globals), 32, 0, stream>>>(arguments, partials, int(slices_of(product.scores.shape)),
                                                                        product.output_globals);
  return cudaGetLastError();
}

// Heads made one by their maximum or minimum.
struct FusedLaunch {
  const AttentionProduct& product;
  const LsePlanes<const float>& lse;
  FusedPartial* partials;
  cudaStream_t stream;

  Arguments arguments(bool own_are_queries, FusedResult result) const {
    Arguments filled = common_arguments(product.scores, own_are_queries ? Mode::kColumn : Mode::kRow);
    enter_lse(lse, filled);
    enter_input(product, filled);
    if (result != FusedResult::kSum) filled.other_globals = filled.globals;     // rows are summed over all their keys
    list_all_heads(product.scores.shape, filled);
    filled.dilation = product.scores.shape.dilation[0];
    enter_radius(product.scores.shape, filled);
    filled.sign = product.fusion == HeadFusion::kMinimum ? -1.f : 1.f;
    filled.signed_scale = filled.sign * product.scores.scale;
    filled.own_are_queries = own_are_queries;
    filled.result = result;
    return filled;
  }

  cudaError_t run(Arguments& filled, const TokenRect& rect, float* output, float* output_globals) const {
    filled.output_rect = rect_of(rect);
    filled.output = output;
    const std::int64_t slices = slices_of(product.scores.shape, kFusedSliceTokens);
    return for_compiled(product.scores, [&](auto element, auto dim) {
      using Element = decltype(element);
      constexpr int kDim = decltype(dim)::value;
      if (rect.area() > 0) fused_sums<Element, kDim><<<grid_blocks(filled), kThreads, 0, stream>>>(filled);
      if (output_globals != nullptr && filled.globals > 0) {
        fused_global_sums<Element, kDim><<<unsigned(slices), kThreads, 0, stream>>>(filled, partials);
        finish_fused_globals<<<unsigned(filled.globals), 32, 0, stream>>>(filled, partials, int(slices), output_globals);
      }
      return cudaGetLastError();
    });
  }

  cudaError_t run_column() const {
    Arguments filled = arguments(true, product.rows_sum_to_one ? FusedResult::kMean : FusedResult::kSum);
    return run(filled, product.output_rect, product.output, product.output_globals);
  }

  // shares: [input_rect and globals]. in A of rows that sum to one is (in by the rows' sums) A.
  cudaError_t run_row(float* shares) const {
    Arguments sums = arguments(false, FusedResult::kSum);
    if (product.rows_sum_to_one) {
      float* global_shares = product.input_globals != nullptr ? shares + product.input_rect.area() : nullptr;
      Arguments rows = arguments(true, FusedResult::kShare);
      if (const cudaError_t error = run(rows, product.input_rect, shares, global_shares); error != cudaSuccess) return error;
      sums.input = shares;
      sums.input_globals = global_shares;
    }
    return run(sums, product.output_rect, product.output, product.output_globals);
  }
};

// What the slices of global tokens' sums take of the workspace; FusedLaunch::run_row's shares lie behind.
std::size_t partial_bytes(const AttentionShape& shape) {
  const std::int64_t by_head = slices_of(shape) * shape.heads, fused = slices_of(shape, kFusedSliceTokens);
  static_assert(sizeof(Partial) == sizeof(FusedPartial), "one room for both");
  return sizeof(Partial) * std::size_t(by_head > fused ? by_head : fused) * std::size_t(shape.global_tokens);
}

}  // namespace

const char* products_unsupported(const AttentionScores& scores, HeadFusion fusion, int compute_capability) {
  if (const char* reason = sm80::shape_unsupported(scores.shape, compute_capability)) return reason;
  if (scores.shape.batch != 1) return "more than one image";
  if (scores.dtype == DataType::kFloat32 && scores.shape.head_dim > 64) return "float32 of more than 64 channels a head";
  for (int head = 1; fusion != HeadFusion::kMean && head < scores.shape.heads; ++head)
    if (scores.shape.dilation[head] != scores.shape.dilation[0]) return "the maximum or minimum of heads of different dilations";
  for (int head = 0; head < scores.shape.heads; ++head) if (scores.shape.dilation[head] > kMaxDilation) return "a dilation above 255";
  if (scores.shape.grid_height > 65535ll * kTileRows) return "a grid of more than a million rows";
  for (const ConstView& view : {scores.query, scores.key})
    if (const char* reason = sm80::view_unsupported(scores.shape, view, scores.dtype)) return reason;
  return nullptr;
}

std::size_t products_workspace_bytes(const AttentionScores& scores) {
  return partial_bytes(scores.shape) + sizeof(float) * std::size_t(scores.shape.tokens());
}

cudaError_t attention_lse(const AttentionScores& scores, const LsePlanes<float>& result, void* workspace, cudaStream_t stream) {
  Arguments arguments = common_arguments(scores, Mode::kLse);
  arguments.output_rect = rect_of(result.rect);
  arguments.output = result.grid;
  arguments.output_head_stride = result.head_stride;
  if (const cudaError_t error = launch_grid<Mode::kLse>(scores, arguments, stream); error != cudaSuccess) return error;
  if (result.globals == nullptr || arguments.globals == 0) return cudaSuccess;
  auto* partials = static_cast<Partial*>(workspace);
  if (const cudaError_t error = launch_globals<Mode::kLse>(scores, arguments, partials, stream); error != cudaSuccess) return error;
  finish_global_lse<<<dim3(unsigned(arguments.globals), unsigned(scores.shape.heads)), 32, 0, stream>>>(
      arguments, partials, int(slices_of(scores.shape)), result.globals, result.global_head_stride);
  return cudaGetLastError();
}

cudaError_t attention_product(const AttentionProduct& product, const LsePlanes<const float>& lse, void* workspace, cudaStream_t stream) {
  const bool row = product.side == ProductSide::kRowTimesAttention;
  if (product.fusion != HeadFusion::kMean) {
    const FusedLaunch fused{product, lse, static_cast<FusedPartial*>(workspace), stream};
    auto* shares = reinterpret_cast<float*>(static_cast<char*>(workspace) + partial_bytes(product.scores.shape));
    return row ? fused.run_row(shares) : fused.run_column();
  }
  Arguments arguments = common_arguments(product.scores, row ? Mode::kRow : Mode::kColumn);
  enter_input(product, arguments);
  enter_lse(lse, arguments);
  arguments.output_rect = rect_of(product.output_rect);
  auto* partials = static_cast<Partial*>(workspace);
  return row ? run_product<Mode::kRow>(product, arguments, partials, stream) : run_product<Mode::kColumn>(product, arguments, partials, stream);
}

}  // namespace fovea::kernels::cuda
