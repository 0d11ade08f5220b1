// How the tokens of an image are divided for the steps of a block that treat each token for itself.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "core/base/torch.h"
#include "core/model/config.h"

namespace fovea {

// Memory for the steps of one piece of tokens.
struct BlockScratch {
  torch::Tensor normalised, branch, hidden;     // [tokens, C], [tokens, C], [tokens, MLP width]
};

// On the CPU a piece is small enough that what one step leaves is still in the core's cache for the next, and goes through all steps on one
// thread: threads that met after every step would wait for the slowest each time, and for several milliseconds where other programs want
// the cores too. A GPU takes pieces one after the other and gains from large ones (measured: 4k tokens take a third longer than 256k).
class TokenPieces {
 public:
  // count tokens from first on; scratch has room for them.
  using Body = std::function<void(std::int64_t first, std::int64_t count, const BlockScratch& scratch)>;

  TokenPieces() = default;
  // For at most `tokens` at a time. options: dtype and device of the tokens.
  TokenPieces(const EncoderConfig& config, std::int64_t tokens, const torch::TensorOptions& options);

  // Calls body for pieces that cover [begin, end), on several threads at once if the device is the CPU. Exceptions pass.
  void run(std::int64_t begin, std::int64_t end, const Body& body) const;

  // Tokens that all memory together has room for.
  static std::int64_t tokens_of(torch::Device device);

 private:
  std::int64_t piece_ = 0;
  std::vector<BlockScratch> scratches_;   // one a thread
};

}  // namespace fovea
