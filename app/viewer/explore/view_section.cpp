#include "app/viewer/explore/view_section.h"

#include <algorithm>
#include <array>

namespace fovea::explore {
namespace {

using nlohmann::json;

constexpr std::array kFusionNames{"mean", "max", "min", "one"};   // in the order of Fusion

void take(const json& saved, const char* key, bool& value) {
  if (saved.contains(key) && saved[key].is_boolean()) value = saved[key].get<bool>();
}

template <class Number>
void take(const json& saved, const char* key, Number& value, Number low, Number high) {
  if (saved.contains(key) && saved[key].is_number()) value = std::clamp(saved[key].get<Number>(), low, high);
}

std::string text(const json& saved, const char* key) {
  return saved.contains(key) && saved[key].is_string() ? saved[key].get<std::string>() : std::string();
}

bool are_integers(const json& list, std::size_t count) {
  return list.is_array() && list.size() == count && std::ranges::all_of(list, [](const json& entry) { return entry.is_number_integer(); });
}

json save_tokens(const Selection& tokens) {
  json saved = json::object();
  if (tokens.box) saved["box"] = {tokens.box->row, tokens.box->column, tokens.box->rows, tokens.box->columns};
  if (tokens.global_token) saved["global"] = *tokens.global_token;
  for (const BrushToken& token : tokens.brush) saved["brush"].push_back({token.row, token.column});
  return saved;
}

Selection load_tokens(const json& saved, const Encoded& encoded) {
  Selection tokens;
  const auto inside = [&](const TokenBox& box) {
    return box.row >= 0 && box.column >= 0 && box.rows > 0 && box.columns > 0 && box.rows <= encoded.rows &&
           box.columns <= encoded.columns && box.row <= encoded.rows - box.rows && box.column <= encoded.columns - box.columns;
  };
  if (!saved.is_object()) return tokens;
  if (const json box = saved.value("box", json()); are_integers(box, 4)) {
    const TokenBox wanted{box[0], box[1], box[2], box[3]};
    if (inside(wanted)) tokens.box = wanted;
  }
  for (const json& entry : saved.value("brush", json::array())) {
    if (!are_integers(entry, 2)) continue;
    const BrushToken token{entry[0], entry[1], 1};
    if (inside({token.row, token.column, 1, 1})) tokens.brush.push_back(token);
  }
  const json global = saved.value("global", json());
  const std::int64_t globals = encoded.model->config.encoder.global_tokens;
  if (global.is_number_integer() && global.get<std::int64_t>() >= 0 && global.get<std::int64_t>() < globals) tokens.global_token = global;
  return tokens;
}

}  // namespace

json save_view(const View& view) {
  return {{"method", view.method},
          {"layer", view.layer},
          {"heads", kFusionNames.at(static_cast<std::size_t>(view.heads.fusion))},
          {"head", view.heads.head},
          {"tokens", save_tokens(view.tokens)},
          {"attention_share", view.attention_share},
          {"window", view.window},
          {"mass_share", view.mass_share},
          {"clip_percentile", view.clip_percentile},
          {"fixed_range", view.range_mode == RangeMode::kFixed},
          {"low", view.fixed_low},
          {"high", view.fixed_high},
          {"window_outline", view.window_outline},
          {"field_contours", view.field_contours},
          {"outliers", view.outliers}};
}

void load_view(const json& saved, const Encoded* encoded, View& view) {
  if (!saved.is_object()) return;
  constexpr float kAny = std::numeric_limits<float>::max();
  const auto choices = method_choices();
  const std::string method = text(saved, "method"), heads = text(saved, "heads");
  if (std::ranges::any_of(choices, [&](const MethodChoice& choice) { return method == choice.method; })) view.method = method;
  if (const auto found = std::ranges::find(kFusionNames, heads); found != kFusionNames.end()) {
    view.heads.fusion = static_cast<Fusion>(found - kFusionNames.begin());
  }
  const std::int64_t layers = encoded ? encoded->model->config.encoder.depth : 1,
                     all_heads = encoded ? encoded->model->config.encoder.heads : 1;
  take<std::int64_t>(saved, "layer", view.layer, 0, layers - 1);
  take<std::int64_t>(saved, "head", view.heads.head, 0, all_heads - 1);
  take<double>(saved, "attention_share", view.attention_share, 0, 1);
  take<std::int64_t>(saved, "window", view.window, 1, 99);
  view.window |= 1;
  take<double>(saved, "mass_share", view.mass_share, 0.01, 1);
  take<double>(saved, "clip_percentile", view.clip_percentile, 50, 100);
  bool fixed = view.range_mode == RangeMode::kFixed;
  take(saved, "fixed_range", fixed);
  view.range_mode = fixed ? RangeMode::kFixed : RangeMode::kPerMap;
  take(saved, "low", view.fixed_low, -kAny, kAny);
  take(saved, "high", view.fixed_high, -kAny, kAny);
  take(saved, "window_outline", view.window_outline);
  take(saved, "field_contours", view.field_contours);
  take(saved, "outliers", view.outliers);
  view.tokens = encoded && saved.contains("tokens") ? load_tokens(saved["tokens"], *encoded) : Selection{};
}

}  // namespace fovea::explore
