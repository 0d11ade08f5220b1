// Attention analysis on every NVIDIA GPU since Ampere: entry points.
#include "kernels/attention_products_cuda.h"
#include "kernels/cuda/analysis/global_sums.cuh"
#include "kernels/cuda/sm80/launch.cuh"

namespace fovea::kernels::cuda {
namespace {

using namespace analysis;

constexpr int kMaxDilation = 255;   // its square counts thread blocks along z

Rect rect_of(const TokenRect& rect) { return {int(rect.y), int(rect.x), int(rect.height), int(rect.width)}; }

Tokens tokens_of(const ConstView& view) { return {view.data, view.token_stride, view.head_stride}; }

std::int64_t slices_of(const AttentionShape& shape) { return (shape.tokens() + kSliceTokens - 1) / kSliceTokens; }

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
    arguments.radius_y = radius_of(shape.window_height, shape.grid_height, arguments.dilation);
    arguments.radius_x = radius_of(shape.window_width, shape.grid_width, arguments.dilation);
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
      const unsigned step = unsigned(arguments.dilation);
      const auto tiles = [&](int extent, int tile) { return (unsigned(extent) + step - 1) / step / tile + 1; };
      const dim3 blocks(tiles(arguments.output_rect.width, kTileColumns), tiles(arguments.output_rect.height, kTileRows), step * step);
      grid_sums<decltype(element), decltype(dim)::value, kMode><<<blocks, kThreads, 0, stream>>>(arguments);
      return cudaGetLastError();
    });
  };
  return for_element_and_dim(scores.dtype, scores.shape.head_dim, launch);
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
  return for_element_and_dim(scores.dtype, scores.shape.head_dim, [&](auto element, auto dim) {
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

}  // namespace

const char* products_unsupported(const AttentionScores& scores, int compute_capability) {
  if (const char* reason = sm80::shape_unsupported(scores.shape, compute_capability)) return reason;
  if (scores.shape.batch != 1) return "more than one image";
  for (int head = 0; head < scores.shape.heads; ++head) if (scores.shape.dilation[head] > kMaxDilation) return "a dilation above 255";
  if (scores.shape.grid_height > 65535ll * kTileRows) return "a grid of more than a million rows";
  for (const ConstView& view : {scores.query, scores.key})
    if (const char* reason = sm80::view_unsupported(scores.shape, view, scores.dtype)) return reason;
  return nullptr;
}

std::size_t products_workspace_bytes(const AttentionScores& scores) {
  return sizeof(Partial) * std::size_t(slices_of(scores.shape)) * std::size_t(scores.shape.heads) * std::size_t(scores.shape.global_tokens);
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
  Arguments arguments = common_arguments(product.scores, row ? Mode::kRow : Mode::kColumn);
  if (product.input_globals == nullptr) arguments.other_globals = 0;
  arguments.input_rect = rect_of(product.input_rect);
  arguments.input = product.input;
  arguments.input_globals = product.input_globals;
  arguments.output_rect = rect_of(product.output_rect);
  arguments.lse_rect = rect_of(lse.rect);
  arguments.lse = lse.grid;
  arguments.lse_head_stride = lse.head_stride;
  arguments.global_lse = lse.globals;
  arguments.global_lse_stride = lse.global_head_stride;
  auto* partials = static_cast<Partial*>(workspace);
  return row ? run_product<Mode::kRow>(product, arguments, partials, stream) : run_product<Mode::kColumn>(product, arguments, partials, stream);
}

}  // namespace fovea::kernels::cuda
