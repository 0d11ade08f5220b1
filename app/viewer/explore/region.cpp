#include "app/viewer/explore/region.h"

#include <algorithm>
#include <cmath>

#include "core/base/integers.h"

namespace fovea::explore {
namespace {

// An encoding of more than this share of the image may as well be that of the image.
constexpr double kNearlyWhole = 0.7;

struct Span { std::int64_t begin = 0, end = 0; };

// Along one axis: whole patches as the image has them, and `margin` more on both sides.
Span widen(std::int64_t first, std::int64_t end, std::int64_t extent, std::int64_t patch, std::int64_t margin) {
  return {std::max<std::int64_t>(0, first / patch - margin) * patch, std::min(extent, (divide_up(end, patch) + margin) * patch)};
}

}  // namespace

RegionPlan plan_region(const Rect& region, const RegionShape& shape) {
  const std::int64_t left = std::max<std::int64_t>(0, region.x), top = std::max<std::int64_t>(0, region.y);
  const std::int64_t right = std::min(shape.image_width, region.x + region.width),
                     bottom = std::min(shape.image_height, region.y + region.height);
  if (left >= right || top >= bottom)
    throw Error(ErrorKind::kUsage, "the view does not show any of the image: press 0 to fit it, then encode again");
  const auto place = [&](std::int64_t margin_rows, std::int64_t margin_columns) {
    const Span x = widen(left, right, shape.image_width, shape.patch, margin_columns),
               y = widen(top, bottom, shape.image_height, shape.patch, margin_rows);
    return Rect{x.begin, y.begin, x.end - x.begin, y.end - y.begin};
  };
  RegionPlan plan{.asked = place(0, 0), .computed = place(shape.margin_rows, shape.margin_columns), .asked_tokens = {}};
  plan.rows = divide_up(plan.computed.height, shape.patch);
  plan.columns = divide_up(plan.computed.width, shape.patch);
  plan.asked_tokens = {(plan.asked.y - plan.computed.y) / shape.patch, (plan.asked.x - plan.computed.x) / shape.patch,
                       divide_up(plan.asked.height, shape.patch), divide_up(plan.asked.width, shape.patch)};
  plan.whole_image = plan.computed == Rect{0, 0, shape.image_width, shape.image_height};
  return plan;
}

MarginTokens margin_tokens(const ModelSummary& model, Margin margin) {
  if (margin == Margin::kAuto) margin = model.region_caveat.empty() ? Margin::kFull : Margin::kShort;
  if (margin == Margin::kNone) return {};
  if (margin == Margin::kFull) return {model.halo_rows, model.halo_columns};
  MarginTokens longest;
  for (const LayerAttention& layer : model.config.encoder.attention) {
    if (layer.dense) continue;
    const std::int64_t dilation = *std::max_element(layer.dilation.begin(), layer.dilation.end());
    longest.rows = std::max(longest.rows, dilation * ((layer.window[0] - 1) / 2));
    longest.columns = std::max(longest.columns, dilation * ((layer.window[1] - 1) / 2));
  }
  return longest;
}

RegionPlan plan_encoding(const EncodeRequest& request, const ModelSummary& model, std::int64_t image_width, std::int64_t image_height) {
  const Rect whole{0, 0, image_width, image_height};
  const MarginTokens margin = margin_tokens(model, request.margin);
  const RegionShape shape{.image_width = image_width, .image_height = image_height, .patch = model.config.encoder.patch,
                          .margin_rows = margin.rows, .margin_columns = margin.columns};
  RegionPlan plan = plan_region(request.region_level0.value_or(whole), shape);
  if (static_cast<double>(plan.computed.area()) > kNearlyWhole * static_cast<double>(whole.area())) plan = plan_region(whole, shape);
  return plan;
}

std::optional<TokenBox> token_at(const Encoded& encoded, double x, double y) { return tokens_of(encoded, x, y, x, y); }

std::optional<TokenBox> tokens_of(const Encoded& encoded, double x0, double y0, double x1, double y1) {
  const auto patch = static_cast<double>(encoded.model->config.encoder.patch);
  const auto token = [&](double pixel, std::int64_t origin) {
    return static_cast<std::int64_t>(std::floor((pixel - static_cast<double>(origin)) / patch));
  };
  const TokenBox& asked = encoded.asked_tokens;
  const std::int64_t left = std::max(token(std::min(x0, x1), encoded.computed.x), asked.column);
  const std::int64_t top = std::max(token(std::min(y0, y1), encoded.computed.y), asked.row);
  const std::int64_t right = std::min(token(std::max(x0, x1), encoded.computed.x) + 1, asked.column + asked.columns);
  const std::int64_t bottom = std::min(token(std::max(y0, y1), encoded.computed.y) + 1, asked.row + asked.rows);
  if (left >= right || top >= bottom) return std::nullopt;
  return TokenBox{top, left, bottom - top, right - left};
}

Rect pixels_of(const Encoded& encoded, const TokenBox& tokens) {
  const std::int64_t patch = encoded.model->config.encoder.patch;
  return {encoded.computed.x + tokens.column * patch, encoded.computed.y + tokens.row * patch, tokens.columns * patch, tokens.rows * patch};
}

}  // namespace fovea::explore
