#include "core/model/block.h"

#include "core/attention/local_global_attention.h"
#include "core/base/error.h"

namespace fovea {
namespace {

constexpr double kInitialLayerScale = 1e-1;     // small beside the residual, large enough that 12 layers from scratch still learn

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
  for (const auto& linear : {project_->qkv, project_->out, mlp_->fc1, mlp_->fc2}) linear->initialise();
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

void Block::prepare() {
  for (const auto& linear : {project_->qkv, project_->out, mlp_->fc1, mlp_->fc2}) linear->prepare();
}

void Block::project_unrotated(const torch::Tensor& x, const BlockScratch& scratch, const torch::Tensor& packed) const {
  const auto normalised = scratch.normalised.narrow(0, 0, x.size(0));
  add_residual_and_normalise({.stream = x, .branch = {}, .scale = {}}, norm1_->normalisation(), normalised);
  project_->qkv->into(normalised, packed.flatten(1));
}

void Block::project_into(const torch::Tensor& x, const GridPiece& piece, const BlockScratch& scratch, const torch::Tensor& packed) const {
  project_unrotated(x, scratch, packed);
  if (config_.positions == Positions::kRope) rotate_packed(packed, piece.first, piece.tables);
}

void Block::project_all_into(const torch::Tensor& x, const TokenRows& tokens, const GridPiece& piece, const TokenPieces& pieces,
                             const torch::Tensor& packed) {
  prepare();
  const auto all = x.flatten(0, 1), all_packed = packed.flatten(0, 1);
  pieces.run(0, all.size(0), [&](std::int64_t first, std::int64_t count, const BlockScratch& scratch) {
    project_unrotated(all.narrow(0, first, count), scratch, all_packed.narrow(0, first, count));
  });
  for (std::int64_t image = 0; config_.positions == Positions::kRope && image < x.size(0); ++image) {
    rotate_packed(packed[image].narrow(0, tokens.global_tokens, tokens.count() - tokens.global_tokens), piece.first, piece.tables);
  }
}

void Block::forward_in_place(const torch::Tensor& x, const TokenRows& tokens, const GridPiece& piece, const TokenPieces& pieces,
                             const torch::Tensor& packed) {
  project_all_into(x, tokens, piece, pieces, packed);
  const auto all = x.flatten(0, 1);
  const auto attended = attend({packed.select(2, 0), packed.select(2, 1), packed.select(2, 2)}, tokens).reshape(all.sizes());
  pieces.run(0, all.size(0), [&](std::int64_t first, std::int64_t count, const BlockScratch& scratch) {
    finish_in_place(all.narrow(0, first, count), attended.narrow(0, first, count), scratch);
  });
}

void Block::finish_in_place(const torch::Tensor& x, const torch::Tensor& attended, const BlockScratch& scratch) const {
  const auto part = [&](const torch::Tensor& memory) { return memory.narrow(0, 0, x.size(0)); };
  const auto normalised = part(scratch.normalised);
  add_residual_and_normalise({.stream = x, .branch = project_->out->apply(attended, part(scratch.branch)), .scale = scale1_},
                             norm2_->normalisation(), normalised);
  const auto hidden = mlp_->fc1->apply(normalised, part(scratch.hidden), Activation::kGelu);
  add_residual({.stream = x, .branch = mlp_->fc2->apply(hidden, part(scratch.branch)), .scale = scale2_});
}

// LayerScale and stochastic depth of one residual branch.
torch::Tensor Block::branch(const torch::Tensor& y, const torch::Tensor& scale) {
  const auto scaled = scale.defined() ? y * scale : y;
  if (!is_training() || drop_rate_ == 0) return scaled;
  const double keep = 1 - drop_rate_;
  return scaled * torch::empty({y.size(0), 1, 1}, y.options()).bernoulli_(keep).div_(keep);
}

}  // namespace fovea
