#include "core/attention/analysis/global_pass.h"

#include <algorithm>
#include <cmath>

#include "core/base/error.h"

namespace fovea::analysis {
namespace {

constexpr std::int64_t kBandTokens = 1 << 16;   // a step: 0.4 GB of queries, keys, values and MLP at 384 channels

// Attention of the global queries, band after band: softmax sums merged in float64.
class GlobalAttention {
 public:
  // query [G, heads, D]; scaled as the operator does.
  explicit GlobalAttention(const torch::Tensor& query)
      : query_(query.transpose(0, 1).to(torch::kFloat) / std::sqrt(static_cast<double>(query.size(2)))) {}

  void add(const torch::Tensor& key, const torch::Tensor& value) {   // [n, heads, D]
    const auto scores = torch::matmul(query_, key.permute({1, 2, 0}).to(torch::kFloat));        // [heads, G, n]
    const auto lse = torch::logsumexp(scores.to(torch::kDouble), -1);
    const auto mean = torch::matmul((scores - lse.unsqueeze(-1)).exp_().to(torch::kFloat), value.transpose(0, 1).to(torch::kFloat));
    if (!lse_.defined()) {
      lse_ = lse, mean_ = mean.to(torch::kDouble);
      return;
    }
    const auto both = torch::logaddexp(lse_, lse);
    mean_ = mean_ * (lse_ - both).exp().unsqueeze(-1) + mean * (lse - both).exp().unsqueeze(-1);
    lse_ = both;
  }

  torch::Tensor lse() const { return lse_.to(torch::kFloat); }                                        // [heads, G]
  torch::Tensor attended(torch::Dtype dtype) const { return mean_.transpose(0, 1).to(dtype).unsqueeze(0).contiguous(); }

 private:
  torch::Tensor query_, lse_, mean_;
};

struct Sweep {
  SegmentationModel& model;
  std::int64_t rows, columns, band;
  const EncoderConfig& encoder() const { return model.config().encoder; }
};

torch::Tensor tokens_of(const Sweep& sweep, const ImageRows& image, const std::stop_token& stop) {
  const auto patch = sweep.encoder().patch;
  std::vector<torch::Tensor> bands;
  for (std::int64_t row = 0; row < sweep.rows; row += sweep.band) {
    throw_if_stopped(stop);
    const auto end = std::min(row + sweep.band, sweep.rows), y = row * patch;
    const auto rgb = image.read(y, std::min(end * patch, image.height) - y).unsqueeze(0).to(sweep.model.device());
    bands.push_back(sweep.model.encoder().patch_tokens(sweep.model.preprocess(rgb), row, {sweep.rows, sweep.columns}));
  }
  return torch::cat(bands, 1);
}

// One layer: x [1, H * W, C] and globals [1, G, C] become those after it. Returns the global queries' log-sum-exp.
torch::Tensor run_layer(const Sweep& sweep, std::int64_t layer, torch::Tensor& x, torch::Tensor& globals) {
  auto& block = sweep.model.encoder().block(layer);
  const auto& attention = block.attention();
  const auto reach = *std::max_element(attention.dilation.begin(), attention.dilation.end()) * ((attention.window[0] - 1) / 2);
  const auto count = globals.size(1);
  auto next = torch::empty_like(x);
  std::optional<GlobalAttention> of_globals;
  for (std::int64_t row = 0; row < sweep.rows; row += sweep.band) {
    const auto end = std::min(row + sweep.band, sweep.rows);
    const auto top = std::max<std::int64_t>(row - reach, 0), bottom = std::min(end + reach, sweep.rows);
    const TokenRows tokens{.global_tokens = count, .first_row = top, .rows = bottom - top, .columns = sweep.columns};
    const auto around = x.narrow(1, top * sweep.columns, tokens.rows * sweep.columns);
    const auto qkv = block.project_qkv(torch::cat({globals, around}, 1), tokens);
    const auto attended = block.attend(qkv, tokens);
    const auto first = count + (row - top) * sweep.columns, size = (end - row) * sweep.columns;
    if (!of_globals) {
      of_globals.emplace(qkv.query[0].narrow(0, 0, count));
      of_globals->add(qkv.key[0].narrow(0, 0, count), qkv.value[0].narrow(0, 0, count));
    }
    of_globals->add(qkv.key[0].narrow(0, first, size), qkv.value[0].narrow(0, first, size));
    next.narrow(1, row * sweep.columns, size)
        .copy_(block.finish(x.narrow(1, row * sweep.columns, size), attended.narrow(1, first, size)));
  }
  globals = block.finish(globals, of_globals->attended(globals.scalar_type()));
  x = next;
  return of_globals->lse();
}

}  // namespace

std::string global_pass_unsupported(const EncoderConfig& encoder) {
  if (std::any_of(encoder.attention.begin(), encoder.attention.end(), [](const auto& layer) { return layer.dense; })) return "dense layers";
  if (encoder.positions != Positions::kRope) return "learned positions";
  return "";
}

GlobalStates global_states(SegmentationModel& model, const ImageRows& image, Progress& progress, const std::stop_token& stop) {
  torch::NoGradGuard no_grad;
  const auto& encoder = model.config().encoder;
  require(global_pass_unsupported(encoder).empty() && encoder.global_tokens > 0, "global_states: windows, rotary positions, global tokens");
  const auto patches = [&](std::int64_t pixels) { return (pixels + encoder.patch - 1) / encoder.patch; };
  Sweep sweep{.model = model, .rows = patches(image.height), .columns = patches(image.width), .band = 0};
  sweep.band = std::max<std::int64_t>(1, kBandTokens / sweep.columns);
  auto x = tokens_of(sweep, image, stop);
  auto globals = model.encoder().global_tokens(1);
  GlobalStates states{.inputs = {globals}, .lse = {}};
  for (std::int64_t layer = 0; layer < encoder.depth; ++layer) {
    throw_if_stopped(stop);
    progress.report("global tokens", layer, encoder.depth);
    states.lse.push_back(run_layer(sweep, layer, x, globals));
    states.inputs.push_back(globals);
  }
  progress.report("global tokens", encoder.depth, encoder.depth);
  return states;
}

}  // namespace fovea::analysis
