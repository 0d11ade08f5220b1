// From features at the encoder's stride to logits at every pixel.
//
// Token features are fused with a convolutional stem at 1/4 and 1/2 of the image's resolution, so that edges follow the pixels, and a
// sub-pixel convolution (Shi et al. 2016) gives the logits. Every step is local: convolutions, bilinear resizing at a fixed ratio and
// norms over channels only. A band of token rows with halo_rows() more on each side (fewer at the image's border) therefore gives, cut
// back, what the whole image gives.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/base/torch.h"
#include "core/model/config.h"
#include "core/model/layers.h"

namespace fovea {

struct DecoderShape {
  std::int64_t encoder_width = 384;
  std::int64_t patch = 8;
  std::int64_t classes = 1;
};

// x + conv(gelu(conv(norm(x)))) on [B, C, H, W]: reach 2 in each direction.
class ConvolutionBlock : public torch::nn::Module {
 public:
  explicit ConvolutionBlock(std::int64_t width);
  void initialise();                                        // the second convolution starts at zero: the block as the identity
  torch::Tensor forward(const torch::Tensor& x);

 private:
  std::shared_ptr<LayerNorm> norm_;
  std::shared_ptr<Convolution3x3> conv1_, conv2_;
};

class Decoder : public torch::nn::Module {
 public:
  Decoder(const DecoderConfig& config, const DecoderShape& shape);
  void initialise();

  // features: for each of config.layers the grid tokens [B, h * w, C] after the encoder's final norm. images: [B, 3, h * patch, w * patch],
  // normalised. Same dtype as the weights. Returns logits [B, classes, h * patch, w * patch].
  torch::Tensor forward(std::span<const torch::Tensor> features, const torch::Tensor& images);

  // Its two halves, for bands: the sum over config.layers of fuse(i, features after that layer) is what decode() takes, so that a sweep
  // need not keep the features themselves. fuse: [B, n, C] -> [B, n, width], token by token. decode: fused [B, h * w, width].
  torch::Tensor fuse(std::size_t tap, const torch::Tensor& features) { return taps_.at(tap)->forward(features); }
  torch::Tensor decode(const torch::Tensor& fused, const torch::Tensor& images);

  // Token rows (and columns) beyond which nothing reaches a token's pixels.
  std::int64_t halo_rows() const;
  // A band, its halo included, must begin at a multiple of this many token rows, and end at one unless it ends with the image, so that
  // its 1/4 grid lies on the image's.
  std::int64_t row_alignment() const;

  const DecoderConfig& config() const { return config_; }

 private:
  DecoderConfig config_;
  DecoderShape shape_;
  std::vector<std::shared_ptr<Linear>> taps_;               // C -> width, one a layer
  std::shared_ptr<Convolution3x3> stem_half_, stem_quarter_;
  std::shared_ptr<LayerNorm> stem_norm_, head_norm_;
  std::shared_ptr<ConvolutionBlock> token_block_, quarter_block_, half_block_;
  std::shared_ptr<Linear> to_quarter_, to_half_;
  std::shared_ptr<Convolution3x3> head_;                    // 4 logits a class: the 2x2 pixels of a place at half resolution
};

}  // namespace fovea
