#include "core/attention/analysis/probe.h"

#include "core/attention/analysis/features.h"
#include "core/attention/analysis/probe_region.h"
#include "core/attention/analysis/statistics.h"
#include "core/attention/token_steps.h"
#include "core/base/error.h"
#include "core/model/token_pieces.h"

namespace fovea::analysis {

AttentionProbe::AttentionProbe(std::shared_ptr<SegmentationModel> model, const torch::Tensor& rgb, const std::string& name,
                               Progress& progress, std::stop_token stop)
    : AttentionProbe(std::move(model), ProbeRegion{.rgb = rgb, .name = name}, progress, stop) {}

AttentionProbe::AttentionProbe(std::shared_ptr<SegmentationModel> model, const ProbeRegion& region, Progress& progress,
                               const std::stop_token& stop)
    : model_(std::move(model)), first_row_(region.row), first_column_(region.column), globals_(region.globals) {
  require(region.rgb.dim() == 3 && region.rgb.size(0) == 3, "AttentionProbe: rgb must be [3, H, W]");
  torch::NoGradGuard no_grad;
  const auto& encoder = model_->config().encoder;
  require(!globals_ || global_pass_unsupported(encoder).empty(), "AttentionProbe: this model's regions cannot be exact");
  rows_ = (region.rgb.size(1) + encoder.patch - 1) / encoder.patch;
  columns_ = (region.rgb.size(2) + encoder.patch - 1) / encoder.patch;
  require_fits(*model_, encoder.global_tokens + rows_ * columns_, region.name);
  rgb_ = region.rgb.unsqueeze(0).to(model_->device());
  layers_.resize(static_cast<std::size_t>(encoder.depth));
  inputs_.push_back(model_->encoder().tokenize(model_->preprocess(rgb_)).contiguous());
  encode(progress, stop, region.projections);
}

// What inference works in, and what it needs to know of places.
struct AttentionProbe::Workspace {
  torch::Tensor packed;
  TokenPieces pieces;
  RotaryTables rotary;
  GridPiece whole() const { return {.first = 0, .tables = rotary}; }
};

AttentionProbe::Workspace AttentionProbe::make_workspace() const {
  const auto& encoder = model_->config().encoder;
  const auto options = inputs_.front().options();
  Workspace workspace{.packed = torch::empty({1, tokens().count(), 3, encoder.heads, encoder.head_dim()}, options),
                      .pieces = TokenPieces(encoder, tokens().count(), options), .rotary = {}};
  if (encoder.positions == Positions::kRope) {
    workspace.rotary = rotary_tables({.grid = grid(), .head_dim = encoder.head_dim(), .base = encoder.rope_base, .dtype = model_->dtype(),
                                      .device = model_->device()});
  }
  return workspace;
}

TokenRows AttentionProbe::tokens() const {
  return {.global_tokens = model_->config().encoder.global_tokens, .first_row = 0, .rows = rows_, .columns = columns_};
}

void AttentionProbe::encode(Progress& progress, const std::stop_token& stop, Projections projections) {
  const auto depth = model_->config().encoder.depth;
  std::optional<Workspace> workspace;
  if (!globals_) workspace = make_workspace();
  for (std::int64_t layer = 0; layer < depth; ++layer) {
    throw_if_stopped(stop);
    progress.report("encoder", layer, depth);
    if (!workspace) {
      inputs_.push_back(next(layer, inputs_.back()));
      continue;
    }
    const auto x = inputs_.back().clone();
    model_->encoder().block(layer).forward_in_place(x, tokens(), workspace->whole(), workspace->pieces, workspace->packed);
    inputs_.push_back(x);
    if (projections == Projections::kAtOnce) keep(layer, workspace->packed[0].select(1, 0), workspace->packed[0].select(1, 1));
  }
  progress.report("encoder", depth, depth);
}

// A block of a region whose global tokens are those of the whole image.
torch::Tensor AttentionProbe::next(std::int64_t layer, const torch::Tensor& x) const {
  auto& block = model_->encoder().block(layer);
  auto after = block.finish(x, block.attend(project(layer, x), tokens()));
  after.narrow(1, 0, tokens().global_tokens).copy_(globals_->inputs[static_cast<std::size_t>(layer) + 1]);
  return after;
}

Qkv AttentionProbe::project(std::int64_t layer, const torch::Tensor& x) const {
  const auto& encoder = model_->config().encoder;
  if (!globals_) {
    const auto workspace = make_workspace();
    model_->encoder().block(layer).project_all_into(x, tokens(), workspace.whole(), workspace.pieces, workspace.packed);
    return {workspace.packed.select(2, 0), workspace.packed.select(2, 1), workspace.packed.select(2, 2)};
  }
  auto qkv = model_->encoder().block(layer).project_qkv(x, tokens());
  // Global queries are not rotated: they meet keys that are rotated by their places in the whole image. Rotations add up, so the place of
  // the region's first token is all that is missing.
  const TokenRows to_corner{.global_tokens = 0, .first_row = first_row_, .rows = 1, .columns = first_column_ + 1};
  const auto corner =
      rotary_factors(to_corner, encoder.head_dim(), encoder.rope_base, x.scalar_type(), x.device()).narrow(0, first_column_, 1);
  const auto turned = [&](const torch::Tensor& part) {
    const auto grid = part.narrow(1, encoder.global_tokens, rows_ * columns_);
    return torch::cat({part.narrow(1, 0, encoder.global_tokens), rotate(grid, corner)}, 1);
  };
  qkv.query = turned(qkv.query), qkv.key = turned(qkv.key);
  return qkv;
}

void AttentionProbe::check_exists(std::int64_t layer) const {
  if (layer >= 0 && layer < depth()) return;
  throw Error(ErrorKind::kUsage,
              "layer " + std::to_string(layer) + " does not exist: the model has layers 0 to " + std::to_string(depth() - 1));
}

Qkv AttentionProbe::project(std::int64_t layer) const {
  torch::NoGradGuard no_grad;
  return project(layer, inputs_[static_cast<std::size_t>(layer)]);
}

const AttentionLayer& AttentionProbe::layer(std::int64_t layer) {
  check_exists(layer);
  const auto& known = layers_[static_cast<std::size_t>(layer)];
  if (known.query.defined()) return known;
  const auto qkv = project(layer);
  keep(layer, qkv.query[0], qkv.key[0]);
  return known;
}

// query, key: [N, heads, D].
void AttentionProbe::keep(std::int64_t layer, const torch::Tensor& query, const torch::Tensor& key) {
  const auto& attention = model_->config().encoder.attention[static_cast<std::size_t>(layer)];
  const auto globals = tokens().global_tokens;
  // The values beside it are not kept.
  const auto copied = [](const torch::Tensor& part) { return part.clone(torch::MemoryFormat::Contiguous); };
  AttentionLayer fresh{.query = copied(query), .key = copied(key),
                       .pattern = attention.dense ? dense_pattern(grid(), globals)
                                                  : AttentionPattern{.grid = grid(), .global_tokens = globals, .window = attention.window,
                                                                     .dilation = attention.dilation}};
  add_lse(fresh);
  if (globals_) fresh.lse.narrow(1, 0, globals).copy_(globals_->lse[static_cast<std::size_t>(layer)]);   // over the whole image
  layers_[static_cast<std::size_t>(layer)] = std::move(fresh);
}

LayerStack AttentionProbe::stack() {
  return {depth(), [this](std::int64_t index) { return layer(index); }};
}

LayerStack AttentionProbe::stack_of_kept(const HeadChoice& heads) {
  return {depth(), [this, heads](std::int64_t index) {
            auto with_kept = layer(index);
            with_kept.kept = rollouts_.find(with_kept, index, heads);
            return with_kept;
          }};
}

torch::Tensor AttentionProbe::values(std::int64_t layer) {
  check_exists(layer);
  return project(layer).value[0];
}

torch::Tensor AttentionProbe::output_weight(std::int64_t layer) const {
  check_exists(layer);
  const auto parameters = model_->encoder().named_parameters();
  const auto prefix = "blocks." + std::to_string(layer) + ".";
  const auto weight = parameters[prefix + "attention.out.weight"].detach();
  const auto* scale = parameters.find(prefix + "scale1");
  return scale == nullptr ? weight : weight * scale->detach().unsqueeze(1);
}

torch::Tensor AttentionProbe::raw_features(std::int64_t layer) const {
  check_exists(layer);
  return inputs_[static_cast<std::size_t>(layer) + 1][0];
}

torch::Tensor AttentionProbe::features(std::int64_t layer) const {
  torch::NoGradGuard no_grad;
  return model_->encoder().norm(raw_features(layer));
}

const RowStatistics& AttentionProbe::statistics(std::int64_t layer, const GridRect& rect, const std::stop_token& stop) {
  auto& last = last_statistics_;
  if (last.layer != layer || !(last.statistics.rect == rect)) {
    last.layer = -1;
    last.statistics = statistics_by_bands(this->layer(layer), rect, stop);
    last.layer = layer;
  }
  return last.statistics;
}

const KeptMass& AttentionProbe::kept_mass(std::int64_t layer, std::int64_t dilation) {
  auto& last = last_kept_mass_;
  if (last.layer != layer || last.kept.dilation != dilation) last = {layer, analysis::kept_mass(this->layer(layer), dilation)};
  return last.kept;
}

AttentionProbe::PatternEffect AttentionProbe::pattern_effect(const std::vector<LayerAttention>& attention,
                                                             std::optional<std::int64_t> kept_globals) {
  torch::NoGradGuard no_grad;
  require(static_cast<std::int64_t>(attention.size()) == depth(), "pattern_effect: one attention a layer");
  auto config = model_->config();
  const auto globals = config.encoder.global_tokens, kept = kept_globals.value_or(globals);
  if (kept < 0 || kept > globals) {
    throw Error(ErrorKind::kUsage, std::to_string(kept) + " global tokens: the model has " + std::to_string(globals));
  }
  config.encoder.attention = attention;
  config.encoder.global_tokens = kept;
  SegmentationModel variant(config, Initialisation::kNone);
  const auto own = model_->named_parameters();
  for (auto& parameter : variant.named_parameters()) {   // shared, not copied
    const auto data = own[parameter.key()].data();
    parameter.value().set_data(parameter.key() == "encoder.global_tokens" ? data.narrow(0, 0, kept) : data);
  }
  variant.eval();
  const std::array<std::int64_t, 1> last{depth()};
  const auto sparse = variant.encoder().forward(variant.preprocess(rgb_), last)[0][0];
  // A region that knows the whole image's global tokens is compared with itself without them, as the variant is.
  const auto unchanged = globals_ ? model_->encoder().forward(model_->preprocess(rgb_), last)[0][0] : features(depth() - 1);
  const auto on_grid = [&](const torch::Tensor& features, std::int64_t before) { return features.narrow(0, before, rows_ * columns_); };
  PatternEffect effect{.cosine = cosine_of_pairs(on_grid(unchanged, globals), on_grid(sparse, kept)).view({rows_, columns_})};
  effect.mean_cosine = effect.cosine.mean().item<double>();
  if (model_->decoder() != nullptr) {
    effect.changed = (model_->forward(rgb_).argmax(1) != variant.forward(rgb_).argmax(1))[0];
    effect.changed_share = effect.changed.to(torch::kDouble).mean().item<double>();
  }
  return effect;
}

}  // namespace fovea::analysis
