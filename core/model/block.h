// A block of the vision transformer (Dosovitskiy et al. 2021; DINOv2, Oquab et al. 2023) with local-window + global-token attention.
#pragma once

#include <cstdint>
#include <memory>

#include "core/attention/token_steps.h"
#include "core/base/torch.h"
#include "core/model/config.h"
#include "core/model/layers.h"
#include "core/model/positions.h"
#include "core/model/token_pieces.h"

namespace fovea {

struct Qkv {
  torch::Tensor query, key, value;              // [B, N, heads, D], D contiguous; rotated where the model has rotary positions
};

// Where a piece of the grid's tokens lies: from token `first` on, row-major.
struct GridPiece {
  std::int64_t first = 0;
  const RotaryTables& tables;
};

// x + scale1 * attention(norm1(x)), then x + scale2 * mlp(norm2(x)): pre-norm, LayerScale (Touvron et al. 2021), GELU.
class Block : public torch::nn::Module {
 public:
  Block(const EncoderConfig& config, std::size_t layer);
  void initialise();

  // The whole sequence of an image: x [B, N, C] -> [B, N, C].
  torch::Tensor forward(const torch::Tensor& x, const TokenRows& tokens);

  // Per token, so that any rows of the grid may be given.
  Qkv project_qkv(const torch::Tensor& x, const TokenRows& tokens);
  torch::Tensor finish(const torch::Tensor& x, const torch::Tensor& attended);   // attended [B, N, heads, D] -> [B, N, C]

  // Attention of the whole sequence: [B, N, heads, D].
  torch::Tensor attend(const Qkv& qkv, const TokenRows& tokens) const;

  // The same without gradients, in given memory and in fewer passes over it; prepare() before. Per token, for a piece of tokens x [n, C],
  // contiguous: packed [n, 3, heads, D] takes queries, keys and values; x takes the block's result, attended is [n, C].
  void prepare();
  void project_into(const torch::Tensor& x, const GridPiece& piece, const BlockScratch& scratch, const torch::Tensor& packed) const;
  void finish_in_place(const torch::Tensor& x, const torch::Tensor& attended, const BlockScratch& scratch) const;
  // The whole sequence: packed [B, N, 3, heads, D] takes queries, keys and values of x [B, N, C]. piece: of the grid's tokens.
  void project_all_into(const torch::Tensor& x, const TokenRows& tokens, const GridPiece& piece, const TokenPieces& pieces,
                        const torch::Tensor& packed);
  // That, and x takes the block's result.
  void forward_in_place(const torch::Tensor& x, const TokenRows& tokens, const GridPiece& piece, const TokenPieces& pieces,
                        const torch::Tensor& packed);

  const LayerAttention& attention() const { return attention_; }
  void set_drop_rate(double rate) { drop_rate_ = rate; }

 private:
  struct Attention : torch::nn::Module { std::shared_ptr<Linear> qkv, out; };
  struct Mlp : torch::nn::Module { std::shared_ptr<Linear> fc1, fc2; };
  torch::Tensor branch(const torch::Tensor& y, const torch::Tensor& scale);
  void project_unrotated(const torch::Tensor& x, const BlockScratch& scratch, const torch::Tensor& packed) const;

  EncoderConfig config_;
  LayerAttention attention_;
  double drop_rate_ = 0;
  std::shared_ptr<LayerNorm> norm1_, norm2_;
  std::shared_ptr<Attention> project_;
  std::shared_ptr<Mlp> mlp_;
  torch::Tensor scale1_, scale2_;               // [C]; undefined without LayerScale
};

}  // namespace fovea
