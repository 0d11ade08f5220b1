// The vision transformer (Dosovitskiy et al. 2021; DINOv2, Oquab et al. 2023) with local-window + global-token attention.
//
// Sequence [B, N, C]: G global tokens, then the grid, row-major. All pieces also work on bands of token rows (TokenRows), so that a
// sweep over an image computes what forward() computes: tokenize, per block project_qkv -> attention -> finish, norm.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/base/torch.h"
#include "core/model/config.h"
#include "core/model/layers.h"
#include "core/model/positions.h"

namespace fovea {

struct Qkv {
  torch::Tensor query, key, value;              // [B, N, heads, D], D contiguous; rotated where the model has rotary positions
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

  const LayerAttention& attention() const { return attention_; }
  void set_drop_rate(double rate) { drop_rate_ = rate; }

 private:
  struct Attention : torch::nn::Module { std::shared_ptr<Linear> qkv, out; };
  struct Mlp : torch::nn::Module { std::shared_ptr<Linear> fc1, fc2; };
  torch::Tensor branch(const torch::Tensor& y, const torch::Tensor& scale);

  EncoderConfig config_;
  LayerAttention attention_;
  double drop_rate_ = 0;
  std::shared_ptr<LayerNorm> norm1_, norm2_;
  std::shared_ptr<Attention> project_;
  std::shared_ptr<Mlp> mlp_;
  torch::Tensor scale1_, scale2_;               // [C]; undefined without LayerScale
};

class Encoder : public torch::nn::Module {
 public:
  explicit Encoder(const EncoderConfig& config);
  void initialise();

  // images: [B, 3, H, W], normalised, in the weights' dtype, H and W multiples of the patch. layers: 1-based, rising. Returns, for each,
  // the sequence [B, N, C] after that block and the final LayerNorm (as DINOv2's intermediate layers).
  std::vector<torch::Tensor> forward(const torch::Tensor& images, std::span<const std::int64_t> layers);

  // The sequence before the first block: [B, N, C].
  torch::Tensor tokenize(const torch::Tensor& images);

  // Its parts, for bands. images: the band's pixel rows; grid (h, w): the whole image's, which learned positions need.
  torch::Tensor global_tokens(std::int64_t batch) const;                                                     // [B, G, C]
  torch::Tensor patch_tokens(const torch::Tensor& images, std::int64_t first_row, std::array<std::int64_t, 2> grid);   // [B, rows * w, C]
  torch::Tensor norm(const torch::Tensor& x) { return norm_->forward(x); }
  Block& block(std::int64_t layer) { return *blocks_.at(static_cast<std::size_t>(layer)); }                  // 0-based

  // Stochastic depth (Huang et al. 2016), active in training only: block i of n leaves out each branch of a sample with probability
  // rate * i / (n - 1).
  void set_stochastic_depth(double rate);

  const EncoderConfig& config() const { return config_; }

 private:
  struct PatchEmbedding : torch::nn::Module { torch::Tensor weight, bias; };    // [C, 3, patch, patch], [C]

  EncoderConfig config_;
  std::shared_ptr<PatchEmbedding> patch_;
  torch::Tensor global_tokens_;                 // [G, C]; undefined for G = 0. A global token has no place: its position is part of it.
  torch::Tensor positions_;                     // [h * w, C] of the stored grid; undefined for rotary positions
  std::vector<std::shared_ptr<Block>> blocks_;
  std::shared_ptr<LayerNorm> norm_;
};

}  // namespace fovea
