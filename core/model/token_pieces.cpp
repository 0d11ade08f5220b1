#include "core/model/token_pieces.h"

#include <ATen/Parallel.h>
#include <ATen/ThreadLocalState.h>

#include <algorithm>

#include "core/attention/torch_threads.h"
#include "core/base/error.h"
#include "core/base/integers.h"
#include "core/base/progress.h"

namespace fovea {
namespace {

constexpr std::int64_t kHostPiece = 256, kDevicePiece = 131072;   // tokens
constexpr std::int64_t kHostGrain = 32;                           // rows that a matrix instruction takes at a time

std::int64_t threads_for(torch::Device device) { return device.is_cpu() ? at::get_num_threads() : 1; }

BlockScratch make_scratch(const EncoderConfig& config, std::int64_t tokens, const torch::TensorOptions& options) {
  const auto memory = [&](std::int64_t width) { return torch::empty({tokens, width}, options); };
  return {.normalised = memory(config.width), .branch = memory(config.width), .hidden = memory(config.mlp_width)};
}

}  // namespace

TokenPieces::TokenPieces(const EncoderConfig& config, std::int64_t tokens, const torch::TensorOptions& options)
    : piece_(std::min(tokens, options.device().is_cpu() ? kHostPiece : kDevicePiece)) {
  const std::int64_t threads = std::min(threads_for(options.device()), divide_up(tokens, kHostGrain));
  for (std::int64_t i = 0; i < threads; ++i) scratches_.push_back(make_scratch(config, piece_, options));
}

std::int64_t TokenPieces::tokens_of(torch::Device device) { return device.is_cpu() ? kHostPiece * threads_for(device) : kDevicePiece; }

void TokenPieces::run(std::int64_t begin, std::int64_t end, const Body& body) const {
  if (end <= begin) return;
  const auto threads = static_cast<std::int64_t>(scratches_.size());
  // Few tokens are shared out, so that no thread is left without.
  const std::int64_t share = divide_up(divide_up(end - begin, threads), kHostGrain) * kHostGrain, piece = std::min(piece_, share);
  const auto run_piece = [&](std::int64_t task, std::size_t scratch) {
    const std::int64_t first = begin + task * piece;
    body(first, std::min(piece, end - first), scratches_[scratch]);
  };
  const std::int64_t tasks = divide_up(end - begin, piece);
  if (threads == 1) {
    for (std::int64_t task = 0; task < tasks; ++task) {
      throw_if_stopped(stop_of_torch_threads());
      run_piece(task, 0);
    }
    return;
  }
  const at::ThreadLocalState state;   // above all: that no gradients are wanted
  run_on_torch_threads(tasks, [&](std::int64_t task) {
    const at::ThreadLocalStateGuard as_caller(state);
    const auto thread = static_cast<std::size_t>(at::get_thread_num());
    require(thread < scratches_.size(), "TokenPieces: torch was given more threads after these pieces were made");
    run_piece(task, thread);
  });
}

}  // namespace fovea
