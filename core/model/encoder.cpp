#include "core/model/encoder.h"

#include <algorithm>
#include <string>

#include "core/attention/local_global_attention.h"
#include "core/base/error.h"

namespace fovea {
namespace {

constexpr double kInitialDeviation = 0.02;
constexpr double kInitialLayerScale = 1e-1;     // small beside the residual, large enough that 12 layers from scratch still learn

// Cuts images into patches: [B, 3, h * p, w * p] -> [B, h * w, 3 * p * p], each in the order of the patch kernel.
torch::Tensor cut_patches(const torch::Tensor& images, std::int64_t patch) {
  const auto batch = images.size(0), rows = images.size(2) / patch, columns = images.size(3) / patch;
  const auto cut = images.reshape({batch, 3, rows, patch, columns, patch}).permute({0, 2, 4, 1, 3, 5});
  return cut.reshape({batch, rows * columns, 3 * patch * patch});
}

}  // namespace

Block::Block(const EncoderConfig& config, std::size_t layer) : config_(config), attention_(config.attention.at(layer)) {
  const auto width = config.width;
  norm1_ = register_module("norm1", std::make_shared<LayerNorm>(width, config.layer_norm_eps));
  project_ = register_module("attention", std::make_shared<Attention>());
  project_->qkv = project_->register_module("qkv", std::make_shared<Linear>(width, 3 * width));
  project_->out = project_->register_module("out", std::make_shared<Linear>(width, width));
  norm2_ = register_module("norm2", std::make_shared<LayerNorm>(width, config.layer_norm_eps));
  mlp_ = register_module("mlp", std::make_shared<Mlp>());
  mlp_->fc1 = mlp_->register_module("fc1", std::make_shared<Linear>(width, config.mlp_width));
  mlp_->fc2 = mlp_->register_module("fc2", std::make_shared<Linear>(config.mlp_width, width));
  if (config.layer_scale) {
    scale1_ = register_parameter("scale1", torch::empty({width}));
    scale2_ = register_parameter("scale2", torch::empty({width}));
  }
}

void Block::initialise() {
  torch::NoGradGuard no_grad;
  norm1_->initialise();
  norm2_->initialise();
  for (const auto& linear : {project_->qkv, project_->out, mlp_->fc1, mlp_->fc2}) linear->initialise(kInitialDeviation);
  for (auto* scale : {&scale1_, &scale2_}) if (scale->defined()) scale->fill_(kInitialLayerScale);
}

torch::Tensor Block::forward(const torch::Tensor& x, const TokenRows& tokens) {
  return finish(x, attend(project_qkv(x, tokens), tokens));
}

Qkv Block::project_qkv(const torch::Tensor& x, const TokenRows& tokens) {
  require(x.size(1) == tokens.count(), "Block::project_qkv: the sequence must hold the tokens it is said to hold");
  const auto packed = project_->qkv->forward(norm1_->forward(x)).unflatten(-1, {3, config_.heads, config_.head_dim()});
  Qkv qkv{packed.select(2, 0), packed.select(2, 1), packed.select(2, 2)};
  if (config_.positions == Positions::kRope) {
    const auto factors = rotary_factors(tokens, config_.head_dim(), config_.rope_base, packed.scalar_type(), packed.device());
    qkv.query = rotate(qkv.query, factors);
    qkv.key = rotate(qkv.key, factors);
  }
  return qkv;
}

torch::Tensor Block::attend(const Qkv& qkv, const TokenRows& tokens) const {
  if (attention_.dense) return dense_attention(qkv.query, qkv.key, qkv.value);
  const AttentionPattern pattern{.grid = {tokens.rows, tokens.columns}, .global_tokens = tokens.global_tokens,
                                 .window = attention_.window, .dilation = attention_.dilation};
  return local_global_attention(qkv.query, qkv.key, qkv.value, pattern).output;
}

torch::Tensor Block::finish(const torch::Tensor& x, const torch::Tensor& attended) {
  const auto y = x + branch(project_->out->forward(attended.flatten(2)), scale1_);
  return y + branch(mlp_->fc2->forward(torch::gelu(mlp_->fc1->forward(norm2_->forward(y)))), scale2_);
}

// LayerScale and stochastic depth of one residual branch.
torch::Tensor Block::branch(const torch::Tensor& y, const torch::Tensor& scale) {
  const auto scaled = scale.defined() ? y * scale : y;
  if (!is_training() || drop_rate_ == 0) return scaled;
  const double keep = 1 - drop_rate_;
  return scaled * torch::empty({y.size(0), 1, 1}, y.options()).bernoulli_(keep).div_(keep);
}

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
