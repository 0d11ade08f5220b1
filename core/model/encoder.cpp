#include "core/model/encoder.h"

#include <algorithm>
#include <string>

#include "core/attention/token_steps.h"
#include "core/base/error.h"

namespace fovea {
namespace {

// Cuts images into patches: [B, 3, h * p, w * p] -> [B, h * w, 3 * p * p], each in the order of the patch kernel.
torch::Tensor cut_patches(const torch::Tensor& images, std::int64_t patch) {
  const auto batch = images.size(0), rows = images.size(2) / patch, columns = images.size(3) / patch;
  const auto cut = images.reshape({batch, 3, rows, patch, columns, patch}).permute({0, 2, 4, 1, 3, 5});
  return cut.reshape({batch, rows * columns, 3 * patch * patch});
}

}  // namespace

Encoder::Encoder(const EncoderConfig& config) : config_(config) {
  require(static_cast<std::int64_t>(config.attention.size()) == config.depth, "EncoderConfig::attention must have one entry a layer");
  patch_ = register_module("patch", std::make_shared<PatchEmbedding>());
  patch_->weight = patch_->register_parameter("weight", torch::empty({config.width, 3, config.patch, config.patch}));
  patch_->bias = patch_->register_parameter("bias", torch::empty({config.width}));
  if (config.global_tokens > 0) global_tokens_ = register_parameter("global_tokens", torch::empty({config.global_tokens, config.width}));
  if (config.positions == Positions::kLearned) {
    positions_ = register_parameter("positions", torch::empty({config.position_grid[0] * config.position_grid[1], config.width}));
  }
  auto blocks = register_module("blocks", std::make_shared<torch::nn::Module>());
  for (std::size_t layer = 0; layer < config.attention.size(); ++layer) {
    blocks_.push_back(blocks->register_module(std::to_string(layer), std::make_shared<Block>(config, layer)));
  }
  norm_ = register_module("norm", std::make_shared<LayerNorm>(config.width, config.layer_norm_eps));
}

void Encoder::initialise() {
  torch::NoGradGuard no_grad;
  patch_->weight.normal_(0, kInitialDeviation);
  patch_->bias.zero_();
  for (auto* tokens : {&global_tokens_, &positions_}) if (tokens->defined()) tokens->normal_(0, kInitialDeviation);
  for (const auto& block : blocks_) block->initialise();
  norm_->initialise();
}

std::vector<torch::Tensor> Encoder::forward(const torch::Tensor& images, std::span<const std::int64_t> layers) {
  if (!c10::GradMode::is_enabled() && !is_training()) return infer(images, layers);
  const TokenRows tokens{.global_tokens = config_.global_tokens, .rows = images.size(2) / config_.patch,
                         .columns = images.size(3) / config_.patch};
  auto x = tokenize(images);
  std::vector<torch::Tensor> features;
  std::int64_t done = 0;
  for (const auto layer : layers) {
    for (; done < layer; ++done) x = block(done).forward(x, tokens);
    features.push_back(norm(x));
  }
  return features;
}

std::vector<torch::Tensor> Encoder::infer(const torch::Tensor& images, std::span<const std::int64_t> layers) {
  const TokenRows tokens{.global_tokens = config_.global_tokens, .rows = images.size(2) / config_.patch,
                         .columns = images.size(3) / config_.patch};
  const auto x = tokenize(images).contiguous();
  RotaryTables tables;
  if (config_.positions == Positions::kRope) {
    tables = rotary_tables({.grid = {tokens.rows, tokens.columns}, .head_dim = config_.head_dim(), .base = config_.rope_base,
                            .dtype = x.scalar_type(), .device = x.device()});
  }
  const auto packed = torch::empty({x.size(0), x.size(1), 3, config_.heads, config_.head_dim()}, x.options());
  const TokenPieces pieces(config_, x.size(0) * x.size(1), x.options());
  std::vector<torch::Tensor> features;
  std::int64_t done = 0;
  for (const auto layer : layers) {
    for (; done < layer; ++done) block(done).forward_in_place(x, tokens, {.first = 0, .tables = tables}, pieces, packed);
    features.push_back(norm(x));
  }
  return features;
}

torch::Tensor Encoder::tokenize(const torch::Tensor& images) {
  const auto patches = patch_tokens(images, 0, {images.size(2) / config_.patch, images.size(3) / config_.patch});
  return config_.global_tokens == 0 ? patches : torch::cat({global_tokens(images.size(0)), patches}, 1);
}

torch::Tensor Encoder::global_tokens(std::int64_t batch) const {
  if (!global_tokens_.defined()) return torch::empty({batch, 0, config_.width}, patch_->weight.options());
  return global_tokens_.unsqueeze(0).expand({batch, -1, -1});
}

torch::Tensor Encoder::patch_tokens(const torch::Tensor& images, std::int64_t first_row, std::array<std::int64_t, 2> grid) {
  const auto patch = config_.patch;
  require(images.dim() == 4 && images.size(1) == 3, "Encoder: images must be [B, 3, H, W]");
  require(images.size(2) % patch == 0 && images.size(3) == grid[1] * patch, "Encoder: the images' sides must be multiples of the patch");
  const auto tokens = at::linear(cut_patches(images, patch), patch_->weight.flatten(1), patch_->bias);
  if (!positions_.defined()) return tokens;
  const auto positions = resize_positions(positions_, config_.position_grid, grid);
  return tokens + positions.narrow(0, first_row * grid[1], tokens.size(1));
}

void Encoder::set_stochastic_depth(double rate) {
  require(rate >= 0 && rate < 1, "Encoder::set_stochastic_depth: the rate must be at least 0 and below 1");
  const auto last = static_cast<double>(std::max<std::int64_t>(config_.depth - 1, 1));
  for (std::size_t layer = 0; layer < blocks_.size(); ++layer) blocks_[layer]->set_drop_rate(rate * static_cast<double>(layer) / last);
}

}  // namespace fovea
