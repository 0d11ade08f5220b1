#include "core/attention/analysis/query.h"

#include <cmath>

#include "core/attention/analysis/answers.h"
#include "core/attention/analysis/rows.h"
#include "core/base/error.h"

namespace fovea::analysis {
namespace {

// Of a receptive field's contours: tokens that hardly differ lie on both sides of a threshold, each a speck of its own.
constexpr std::int64_t kSmallestPart = 25;

nlohmann::json rect_json(const GridRect& rect) { return {{"y", rect.y}, {"x", rect.x}, {"height", rect.height}, {"width", rect.width}}; }

TokenMap disc_map(const AttentionLayer& layer, const GridRect& around, double radius) {
  const auto y = around.y + around.height / 2, x = around.x + around.width / 2;
  const auto reach = static_cast<std::int64_t>(std::ceil(radius));
  std::vector<WeightedToken> disc;
  for (std::int64_t dy = -reach; dy <= reach; ++dy) {
    for (std::int64_t dx = -reach; dx <= reach; ++dx) {
      const bool inside = y + dy >= 0 && x + dx >= 0 && y + dy < layer.height() && x + dx < layer.width();
      if (inside && std::hypot(dy, dx) <= radius) disc.push_back({y + dy, x + dx, 1.0});
    }
  }
  return brush_map(layer, disc);
}

Answer map_answer(const TokenMap& map, std::string unit) {
  Answer result{.plane = map.dense().cpu(), .unit = std::move(unit)};
  result.numbers = {{"grid_total", map.grid_total()}, {"global_total", map.global_total()}, {"globals", list(map.globals)},
                    {"support", rect_json(map.support)}};
  return result;
}

// For each token the share of the mass on the grid that tokens at least as strong hold: 0.5 on the contour around half of it. Tokens that
// nothing reaches: no number.
torch::Tensor share_held(const torch::Tensor& plane) {
  const auto values = plane.flatten().to(torch::kDouble);
  const auto [sorted, order] = values.sort(/*stable=*/true, /*dim=*/0, /*descending=*/true);
  const auto held = sorted.cumsum(0);
  // Tokens alike belong together: each holds what the last of them does.
  const auto last = torch::searchsorted(-sorted, -values, /*out_int32=*/false, /*right=*/true) - 1;
  const auto share = held.index_select(0, last) / held[-1].clamp_min(std::numeric_limits<double>::min());
  return torch::where(values > 0, share, std::numeric_limits<double>::quiet_NaN()).clamp_max(1).to(torch::kFloat).view(plane.sizes());
}

nlohmann::json field_json(const ReceptiveField& field, std::int64_t patch) {
  nlohmann::json json{{"bounds", rect_json(field.bounds)}, {"support_tokens", field.support_tokens}, {"global_mass", field.global_mass}};
  for (const auto& contour : field.contours) {
    json["contours"].push_back({{"share", contour.share}, {"tokens", contour.tokens}, {"threshold", contour.threshold},
                                {"radius_tokens", contour.radius}, {"radius_pixels", contour.radius * static_cast<double>(patch)}});
  }
  return json;
}

Answer answer_rollout(const Asked& asked) {
  const auto& query = asked.query;
  const bool from = query.method == Method::kRolloutFrom;
  RolloutOptions options{.heads = query.heads, .attention_share = query.attention_share,
                         .last_layer = query.layer < 0 ? std::nullopt : std::optional(query.layer),
                         .direction = from ? RolloutDirection::kFromInput : RolloutDirection::kToInput, .paths = query.paths};
  const auto start = chosen_tokens(asked);
  const auto layers = query.from_kept ? asked.probe.stack_of_kept(query.heads) : asked.probe.stack();
  const auto map = rollout(layers, start, options, asked.progress, asked.stop);
  auto result = map_answer(map, "share of rollout");
  if (query.count_paths && !from && query.paths == RolloutPaths::kAll && !start.support.empty()) {
    options.paths = RolloutPaths::kLocal;
    const auto local = rollout(layers, start, options, asked.progress, asked.stop);
    result.numbers["through_globals"] = std::max(0.0, map.grid_total() + map.global_total() - local.grid_total());
  }
  if (from) return result;
  const auto field = receptive_field(map);
  result.numbers["field"] = field_json(field, asked.patch());
  if (query.method != Method::kField) return result;
  for (const auto& contour : field.contours) {
    result.outlines.push_back({result.plane >= contour.threshold, std::to_string(std::lround(100 * contour.share)) + " %", kSmallestPart});
  }
  result.plane = share_held(result.plane);
  result.unit = "share held by tokens as strong";
  result.bounds = {0, 1};
  return result;
}

Answer answer_any(const Asked& asked) {
  auto& probe = asked.probe;
  const auto& query = asked.query;
  switch (query.method) {
    case Method::kRow: return map_answer(row(asked.layer(), chosen_tokens(asked), query.heads), "share of attention");
    case Method::kColumn: return map_answer(column(asked.layer(), chosen_tokens(asked), query.heads), "share of attention");
    case Method::kNormWeighted: {
      const auto index = asked.layer_index();
      return map_answer(
          norm_weighted_row(asked.layer(), chosen_tokens(asked), query.heads, probe.values(index), probe.output_weight(index)), "norm");
    }
    case Method::kRollout: case Method::kRolloutFrom: case Method::kField: return answer_rollout(asked);
    case Method::kEntropy: case Method::kDistance: case Method::kGlobalMass: return answer_statistics(asked);
    case Method::kKeptMass: case Method::kVariation: case Method::kDivergence: return answer_kept_mass(asked);
    case Method::kPattern: case Method::kChanged: return answer_pattern(asked);
    case Method::kSimilarity: case Method::kPca: case Method::kNorms: return answer_features(asked);
  }
  return {};
}

}  // namespace

TokenMap chosen_tokens(const Asked& asked) {
  const auto& layer = asked.layer();
  const auto& choice = asked.query.tokens;
  if (choice.global_token) return global_map(layer, *choice.global_token);
  if (!choice.brush.empty()) return brush_map(layer, choice.brush);
  if (choice.box) return choice.disc_radius ? disc_map(layer, *choice.box, *choice.disc_radius) : box_map(layer, *choice.box);
  throw Error(ErrorKind::kUsage, "method " + std::string(method_info(asked.query.method).name) +
                                     " asks about tokens: choose some with a place, a box or a global token");
}

nlohmann::json list(const torch::Tensor& values) {
  const auto flat = values.detach().cpu().to(torch::kDouble).contiguous();
  return std::vector<double>(flat.data_ptr<double>(), flat.data_ptr<double>() + flat.numel());
}

Answer answer(AttentionProbe& probe, const Query& query, Progress& progress, const std::stop_token& stop) {
  torch::NoGradGuard no_grad;
  const Asked asked{probe, query, progress, stop};
  const auto [rows, columns] = probe.grid();
  const auto focus = asked.focus();
  require(!focus.empty() && focus.y >= 0 && focus.x >= 0 && focus.y + focus.height <= rows && focus.x + focus.width <= columns,
          "answer: the focus lies inside the probe's grid");
  check_query(query, probe.model().config());
  auto result = answer_any(asked);
  result.rect = answers_for_every_token(query.method) ? focus : GridRect{0, 0, rows, columns};
  if (method_info(query.method).needs_tokens && !query.tokens.global_token) {
    const auto& [y, x, height, width] = result.rect;
    result.asked = (chosen_tokens(asked).dense() > 0).narrow(0, y, height).narrow(1, x, width).cpu();
  }
  return result;
}

}  // namespace fovea::analysis
