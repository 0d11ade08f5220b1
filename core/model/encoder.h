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
#include "core/model/block.h"
#include "core/model/config.h"

namespace fovea {

class Encoder : public torch::nn::Module {
 public:
  explicit Encoder(const EncoderConfig& config);
  void initialise();

  // images: [B, 3, H, W], normalised, in the weights' dtype, H and W multiples of the patch. layers: 1-based, rising. Returns, for each,
  // the sequence [B, N, C] after that block and the final LayerNorm (as DINOv2's intermediate layers). Without gradients, where none are
  // wanted: faster, and in less memory.
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
  std::vector<torch::Tensor> infer(const torch::Tensor& images, std::span<const std::int64_t> layers);
  struct PatchEmbedding : torch::nn::Module { torch::Tensor weight, bias; };    // [C, 3, patch, patch], [C]

  EncoderConfig config_;
  std::shared_ptr<PatchEmbedding> patch_;
  torch::Tensor global_tokens_;                 // [G, C]; undefined for G = 0. A global token has no place: its position is part of it.
  torch::Tensor positions_;                     // [h * w, C] of the stored grid; undefined for rotary positions
  std::vector<std::shared_ptr<Block>> blocks_;
  std::shared_ptr<LayerNorm> norm_;
};

}  // namespace fovea
