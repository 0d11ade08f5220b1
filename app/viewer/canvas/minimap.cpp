#include "app/viewer/canvas/minimap.h"

#include <algorithm>
#include <cmath>

namespace fovea {
namespace {

constexpr float kShare = 0.18f, kSmallest = 90, kLargest = 220;   // of the canvas's width; points

}  // namespace

bool Minimap::show(ImVec2 upper_right, ImVec2 canvas_size, float density, double now_s) {
  if (workspace_.layers.empty()) return false;
  const RectD image = workspace_.layers.at(0).bounds();
  const float scale = ImGui::GetStyle().FontScaleDpi;
  const float side = std::clamp(canvas_size.x * kShare, kSmallest * scale, kLargest * scale);
  const double longer = std::max(image.width, image.height);
  const ImVec2 size{std::max(8.0f, static_cast<float>(side * image.width / longer)),
                    std::max(8.0f, static_cast<float>(side * image.height / longer))};
  if (size.x > canvas_size.x / 2 || size.y > canvas_size.y / 2) return false;   // no room: the picture matters more
  const ImVec2 low{upper_right.x - size.x, upper_right.y}, high{upper_right.x, upper_right.y + size.y};

  Camera whole;
  const int width = std::max(1, static_cast<int>(size.x * density)), height = std::max(1, static_cast<int>(size.y * density));
  whole.set_canvas({static_cast<double>(width), static_cast<double>(height)});
  whole.set_image({image.width, image.height});
  picture_.begin(width, height, {0, 0, 0, 1});
  if (Layer* base = workspace_.layers.find("image"); base && base->style.visible) base->draw_resident({.camera = whole, .painter = painter_,
                                                                                                       .now_s = now_s});
  picture_.end();

  ImGui::SetCursorScreenPos(low);
  ImGui::InvisibleButton("##minimap", size);
  const bool held = ImGui::IsItemActive(), hovered = ImGui::IsItemHovered();
  Camera& camera = workspace_.camera;
  if (held) {
    const ImVec2 mouse = ImGui::GetIO().MousePos;
    camera.look_at({image.x + (mouse.x - low.x) / size.x * image.width, image.y + (mouse.y - low.y) / size.y * image.height},
                   camera.target_zoom());
  }
  ImDrawList& list = *ImGui::GetWindowDrawList();
  list.AddRectFilled({low.x - 2 * scale, low.y - 2 * scale}, {high.x + 2 * scale, high.y + 2 * scale}, IM_COL32(0, 0, 0, 150), 3 * scale);
  list.AddImage(static_cast<ImTextureID>(picture_.texture()), low, high, {0, 1}, {1, 0});
  const Point seen_low = camera.to_image({0, 0}), seen_high = camera.to_image({camera.canvas().width, camera.canvas().height});
  const auto place = [&](Point p) {
    return ImVec2(low.x + static_cast<float>(std::clamp((p.x - image.x) / image.width, 0.0, 1.0)) * size.x,
                  low.y + static_cast<float>(std::clamp((p.y - image.y) / image.height, 0.0, 1.0)) * size.y);
  };
  ImVec2 a = place(seen_low), b = place(seen_high);
  if (b.x - a.x < 4 * scale) a.x -= 2 * scale, b.x += 2 * scale;   // so small that it would not be found
  if (b.y - a.y < 4 * scale) a.y -= 2 * scale, b.y += 2 * scale;
  list.AddRect(a, b, IM_COL32(0, 0, 0, 200), 0, 3.5f * scale);
  list.AddRect(a, b, IM_COL32(255, 196, 60, 255), 0, 1.5f * scale);
  return held || hovered;
}

}  // namespace fovea
