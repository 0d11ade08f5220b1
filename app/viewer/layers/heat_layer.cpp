#include "app/viewer/layers/heat_layer.h"

#include <imgui.h>

#include <cmath>
#include <cstdio>

#include "app/viewer/layers/layer_painter.h"

namespace fovea {
namespace {

constexpr std::int64_t kMaxSide = 16384;

}  // namespace

HeatLayer::HeatLayer(std::string layer_id, std::string layer_name) : Layer(LayerKind::kHeat, std::move(layer_name)) {
  id = std::move(layer_id);
  style.opacity = 0.6f;
}

void HeatLayer::set_values(HeatRaster raster) {
  require(raster.columns >= 0 && raster.rows >= 0 && raster.columns <= kMaxSide && raster.rows <= kMaxSide,
          "a heat map has at most 16384 values a side");
  require(static_cast<std::int64_t>(raster.values.size()) == raster.columns * raster.rows, "a heat map has one value a grid cell");
  raster_ = std::move(raster);
  uploaded_ = false;
  limits_ = {0, 0};
  bool first = true;
  for (const float value : raster_.values) {
    if (!std::isfinite(value)) continue;
    if (first) limits_ = {value, value};
    first = false;
    limits_ = {std::min(limits_.first, value), std::max(limits_.second, value)};
  }
}

void HeatLayer::upload() {
  if (!texture_) texture_ = gl::create_texture();
  glBindTexture(GL_TEXTURE_2D, texture_.id());
  glPixelStorei(GL_UNPACK_ALIGNMENT, 4);
  glTexImage2D(GL_TEXTURE_2D, 0, GL_R32F, static_cast<GLsizei>(raster_.columns), static_cast<GLsizei>(raster_.rows), 0, GL_RED, GL_FLOAT,
               raster_.values.data());
  uploaded_ = true;
}

LayerProgress HeatLayer::draw(const LayerFrame& frame) {
  if (raster_.values.empty()) return LayerProgress::kSettled;
  if (!uploaded_ || !texture_) upload();
  glBindTexture(GL_TEXTURE_2D, texture_.id());
  gl::set_sampling(smooth ? GL_LINEAR : GL_NEAREST);
  frame.painter.draw_heat({.values = texture_.id(), .rect_level0 = raster_.rect_level0, .threshold = threshold,
                           .alpha_by_value = alpha == HeatAlpha::kByValue ? kAlphaByValue : 0.0f},
                          style, frame.camera);
  return LayerProgress::kSettled;
}

std::string HeatLayer::describe(Point p) const {
  const RectD& rect = raster_.rect_level0;
  if (raster_.values.empty() || !rect.contains(p)) return {};
  const auto column =
      std::min(raster_.columns - 1, static_cast<std::int64_t>((p.x - rect.x) / rect.width * static_cast<double>(raster_.columns)));
  const auto row = std::min(raster_.rows - 1, static_cast<std::int64_t>((p.y - rect.y) / rect.height * static_cast<double>(raster_.rows)));
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", static_cast<double>(raster_.values[static_cast<std::size_t>(row * raster_.columns + column)]));
  return text;
}

bool HeatLayer::show_controls() {
  bool changed = ImGui::Checkbox("Smooth", &smooth);
  ImGui::SetItemTooltip("Interpolate between tokens. What was computed is one value a token.");
  ImGui::SameLine();
  bool by_value = alpha == HeatAlpha::kByValue;
  if (ImGui::Checkbox("Low values transparent", &by_value)) {
    alpha = by_value ? HeatAlpha::kByValue : HeatAlpha::kFlat;
    changed = true;
  }
  return changed;
}

}  // namespace fovea
