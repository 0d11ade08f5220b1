#include "app/viewer/canvas/scale_bar.h"

#include <cmath>
#include <cstdio>

namespace fovea {
namespace {

double round_down(double value) {
  const double power = std::pow(10, std::floor(std::log10(value)));
  const double digit = value / power;
  return (digit >= 5 ? 5 : digit >= 2 ? 2 : 1) * power;
}

std::string plain(double value, const char* unit) {
  char text[48];
  std::snprintf(text, sizeof text, "%.6g %s", value, unit);
  return text;
}

}  // namespace

std::optional<double> metres_a_pixel(const GeoReference& georeference) {
  if (!georeference.geotransform) return std::nullopt;
  const auto& g = *georeference.geotransform;
  const std::string& wkt = georeference.projection_wkt;
  const bool projected = wkt.starts_with("PROJCS") || wkt.starts_with("PROJCRS");
  const bool square = g[2] == 0 && g[4] == 0 && g[1] > 0 && std::abs(std::abs(g[5]) - g[1]) < 1e-3 * g[1];
  if (!projected || !square) return std::nullopt;
  // The last unit of a projected system is that of its axes.
  const auto unit = wkt.rfind("UNIT[\"");
  if (unit == std::string::npos) return std::nullopt;
  const auto comma = wkt.find(',', unit);
  const double factor = comma == std::string::npos ? 0 : std::strtod(wkt.c_str() + comma + 1, nullptr);
  return factor > 0 ? std::optional(g[1] * factor) : std::nullopt;
}

ScaleBar choose_scale_bar(double max_pixels, std::optional<double> metres) {
  if (!(max_pixels > 0)) return {};
  if (!metres) {
    const double length = std::max(1.0, round_down(max_pixels));
    return {plain(length, "px"), length};
  }
  const double length_m = round_down(max_pixels * *metres);
  const std::string label = length_m >= 1000   ? plain(length_m / 1000, "km")
                            : length_m >= 1    ? plain(length_m, "m")
                            : length_m >= 0.01 ? plain(length_m * 100, "cm")
                                               : plain(length_m * 1000, "mm");
  return {label, length_m / *metres};
}

void draw_scale_bar(const CanvasPainter& painter, const ScaleBar& bar, ImVec2 lower_left) {
  const float length = static_cast<float>(bar.length_pixels * painter.points_an_image_pixel), s = painter.scale;
  const ImVec2 text = ImGui::CalcTextSize(bar.label.c_str());
  const float pad = 6 * s, tick = 5 * s, width = std::max(length, text.x);
  const ImVec2 low{lower_left.x, lower_left.y - text.y - tick - 3 * pad};
  painter.list.AddRectFilled(low, {low.x + width + 2 * pad, lower_left.y}, IM_COL32(0, 0, 0, 150), 4 * s);
  const float y = lower_left.y - pad, x = low.x + pad + (width - length) / 2;
  const ImU32 white = IM_COL32(255, 255, 255, 235);
  painter.list.AddLine({x, y}, {x + length, y}, white, 2 * s);
  painter.list.AddLine({x, y - tick}, {x, y + 1 * s}, white, 2 * s);
  painter.list.AddLine({x + length, y - tick}, {x + length, y + 1 * s}, white, 2 * s);
  painter.list.AddText({low.x + pad + (width - text.x) / 2, low.y + pad / 2}, white, bar.label.c_str());
}

}  // namespace fovea
