#include "core/model/decoder.h"

#include <cmath>
#include <numeric>
#include <string>

#include "core/base/error.h"
#include "core/base/integers.h"

namespace fovea {
namespace {

constexpr double kNormEps = 1e-6;
constexpr std::int64_t kQuarter = 4;            // pixels a side of a place of the coarser stem grid
constexpr std::int64_t kBlockReach = 2;         // places that a ConvolutionBlock looks away from its own
constexpr std::int64_t kResizeReach = 1;        // places of the coarse grid that bilinear resizing looks away from the nearest one
constexpr double kHeadDeviation = 0.01;

// Layers over the last dimension, applied to the channels of [B, C, H, W]. In channels-last memory neither permutation copies.
template <typename Layer>
torch::Tensor over_channels(Layer& layer, const torch::Tensor& x) {
  return layer.forward(x.permute({0, 2, 3, 1})).permute({0, 3, 1, 2});
}

// Bilinear, half-pixel centres, at exactly this ratio: place i of the result lies at (i + 0.5) / ratio - 0.5 of the input, whatever the
// extents. (Ratios taken from the extents would make a band differ from the image it belongs to.)
torch::Tensor resize(const torch::Tensor& x, std::int64_t height, std::int64_t width, double ratio) {
  return at::upsample_bilinear2d(x, {height, width}, /*align_corners=*/false, ratio, ratio);
}

// [B, 3, H, W] -> H and W multiples of 4, by repeating the edge; channels-last.
torch::Tensor pad_to_quarter_grid(const torch::Tensor& images) {
  const auto bottom = divide_up(images.size(2), kQuarter) * kQuarter - images.size(2);
  const auto right = divide_up(images.size(3), kQuarter) * kQuarter - images.size(3);
  const auto padded = bottom + right == 0 ? images : at::replication_pad2d(images, {0, right, 0, bottom});
  return padded.contiguous(torch::MemoryFormat::ChannelsLast);
}

}  // namespace

ConvolutionBlock::ConvolutionBlock(std::int64_t width)
    : norm_(register_module("norm", std::make_shared<LayerNorm>(width, kNormEps))),
      conv1_(register_module("conv1", std::make_shared<Convolution3x3>(width, width, 1))),
      conv2_(register_module("conv2", std::make_shared<Convolution3x3>(width, width, 1))) {}

void ConvolutionBlock::initialise() {
  torch::NoGradGuard no_grad;
  norm_->initialise();
  conv1_->initialise();
  conv2_->initialise();
  conv2_->weight.zero_();
}

torch::Tensor ConvolutionBlock::forward(const torch::Tensor& x) {
  return add_to(conv2_->forward(gelu_of(conv1_->forward(over_channels(*norm_, x)))), x);
}

Decoder::Decoder(const DecoderConfig& config, const DecoderShape& shape) : config_(config), shape_(shape) {
  const std::int64_t width = config.width, half = config.stem_width, quarter = 2 * config.stem_width;
  auto taps = register_module("taps", std::make_shared<torch::nn::Module>());
  for (std::size_t tap = 0; tap < config.layers.size(); ++tap) {
    taps_.push_back(taps->register_module(std::to_string(tap), std::make_shared<Linear>(shape.encoder_width, width)));
  }
  token_block_ = register_module("token_block", std::make_shared<ConvolutionBlock>(width));
  stem_half_ = register_module("stem_half", std::make_shared<Convolution3x3>(3, half, 2));
  stem_norm_ = register_module("stem_norm", std::make_shared<LayerNorm>(half, kNormEps));
  stem_quarter_ = register_module("stem_quarter", std::make_shared<Convolution3x3>(half, quarter, 2));
  to_quarter_ = register_module("to_quarter", std::make_shared<Linear>(width, quarter));
  quarter_block_ = register_module("quarter_block", std::make_shared<ConvolutionBlock>(quarter));
  to_half_ = register_module("to_half", std::make_shared<Linear>(quarter, half));
  half_block_ = register_module("half_block", std::make_shared<ConvolutionBlock>(half));
  head_norm_ = register_module("head_norm", std::make_shared<LayerNorm>(half, kNormEps));
  head_ = register_module("head", std::make_shared<Convolution3x3>(half, 4 * shape.classes, 1));
}

void Decoder::initialise() {
  torch::NoGradGuard no_grad;
  const auto variance_keeping = [](Linear& linear) { linear.initialise(1 / std::sqrt(static_cast<double>(linear.weight.size(1)))); };
  for (const auto& tap : taps_) variance_keeping(*tap);
  for (const auto& block : {token_block_, quarter_block_, half_block_}) block->initialise();
  stem_half_->initialise();
  stem_norm_->initialise();
  stem_quarter_->initialise();
  variance_keeping(*to_quarter_);
  variance_keeping(*to_half_);
  head_norm_->initialise();
  head_->initialise();
  // The four pixels of a place start equal (Aitken et al. 2017): no checkerboard to unlearn.
  const auto one_pixel = torch::empty({shape_.classes, 1, config_.stem_width, 3, 3}).normal_(0, kHeadDeviation);
  head_->weight.copy_(one_pixel.expand({-1, 4, -1, -1, -1}).flatten(0, 1));
}

torch::Tensor Decoder::forward(std::span<const torch::Tensor> features, const torch::Tensor& images) {
  require(features.size() == taps_.size(), "Decoder: one feature map a layer of its config is needed");
  auto fused = fuse(0, features[0]);
  for (std::size_t tap = 1; tap < taps_.size(); ++tap) fused = fused + fuse(tap, features[tap]);
  return decode(fused, images);
}

torch::Tensor Decoder::decode(const torch::Tensor& fused, const torch::Tensor& images) {
  const auto height = images.size(2), width = images.size(3);
  const auto pixels = pad_to_quarter_grid(images);
  const auto quarter_height = pixels.size(2) / kQuarter, quarter_width = pixels.size(3) / kQuarter;

  const auto tokens = token_block_->forward(fused.unflatten(1, {height / shape_.patch, width / shape_.patch}).permute({0, 3, 1, 2}));

  const auto stem_half = gelu_of(over_channels(*stem_norm_, stem_half_->forward(pixels)));
  const auto stem_quarter = stem_quarter_->forward(stem_half);

  const double tokens_to_quarter = static_cast<double>(shape_.patch) / static_cast<double>(kQuarter);
  auto quarter = add_to(resize(over_channels(*to_quarter_, tokens), quarter_height, quarter_width, tokens_to_quarter), stem_quarter);
  quarter = quarter_block_->forward(quarter);
  auto half = add_to(resize(over_channels(*to_half_, quarter), 2 * quarter_height, 2 * quarter_width, 2.0), stem_half);
  half = half_block_->forward(half);

  const auto logits = torch::pixel_shuffle(head_->forward(gelu_of(over_channels(*head_norm_, half))), 2);
  return logits.narrow(2, 0, height).narrow(3, 0, width);
}

std::int64_t Decoder::halo_rows() const {
  const std::int64_t half_reach = 1 + kBlockReach;                                             // head, half_block
  const std::int64_t quarter_reach = divide_up(half_reach, 2) + kResizeReach + kBlockReach;    // half grid -> 1/4 grid, quarter_block
  const std::int64_t token_reach = divide_up(quarter_reach * kQuarter, shape_.patch) + kResizeReach + kBlockReach;   // 1/4 grid -> tokens
  return divide_up(token_reach, row_alignment()) * row_alignment();
}

std::int64_t Decoder::row_alignment() const { return std::lcm(kQuarter, shape_.patch) / shape_.patch; }

}  // namespace fovea
