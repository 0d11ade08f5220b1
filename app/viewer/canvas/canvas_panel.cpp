#include "app/viewer/canvas/canvas_panel.h"

#include <algorithm>
#include <cmath>

namespace fovea {
namespace {

constexpr double kWheelStep = 1.25;          // zoom a notch
constexpr double kDoubleClickFactor = 2;
constexpr float kBackground[4] = {0.09f, 0.09f, 0.10f, 1};

}  // namespace

CanvasState CanvasPanel::show(ImageLayer* layer, const ImageAppearance& appearance, double now_s, double elapsed_s) {
  const ImVec2 origin = ImGui::GetCursorScreenPos();
  ImVec2 size = ImGui::GetContentRegionAvail();
  size = {std::max(1.0f, size.x), std::max(1.0f, size.y)};
  const float density = ImGui::GetIO().DisplayFramebufferScale.x > 0 ? ImGui::GetIO().DisplayFramebufferScale.x : 1;
  const int width = static_cast<int>(std::lround(size.x * density)), height = static_cast<int>(std::lround(size.y * density));
  if (camera_.canvas().width != width || camera_.canvas().height != height) camera_.set_canvas({static_cast<double>(width), static_cast<double>(height)});

  ImGui::InvisibleButton("##canvas", size, ImGuiButtonFlags_MouseButtonLeft | ImGuiButtonFlags_MouseButtonMiddle);
  ImGui::SetItemKeyOwner(ImGuiKey_MouseWheelY);
  CanvasState state{.hovered = ImGui::IsItemHovered(), .cursor_image = {}};
  if (layer) handle_mouse(origin, density);
  state.needs_frame = camera_.advance(elapsed_s);
  const ImVec2 mouse = ImGui::GetIO().MousePos;
  state.cursor_image = camera_.to_image({(mouse.x - origin.x) * density, (mouse.y - origin.y) * density});

  picture_.begin(width, height, kBackground);
  if (layer) state.needs_frame |= layer->draw(camera_, appearance, {.now_s = now_s});
  picture_.end();
  // OpenGL's first row is the bottom one.
  ImGui::GetWindowDrawList()->AddImage(static_cast<ImTextureID>(picture_.texture()), origin, {origin.x + size.x, origin.y + size.y}, {0, 1}, {1, 0});
  return state;
}

void CanvasPanel::handle_mouse(ImVec2 origin, float density) {
  const ImGuiIO& io = ImGui::GetIO();
  const Point cursor{(io.MousePos.x - origin.x) * density, (io.MousePos.y - origin.y) * density};
  // Not in the frame in which the button went down: that frame's motion happened before.
  if (ImGui::IsItemActive() && !ImGui::IsItemActivated() && (io.MouseDelta.x != 0 || io.MouseDelta.y != 0)) {
    camera_.drag({io.MouseDelta.x * density, io.MouseDelta.y * density});
  }
  if (!ImGui::IsItemHovered()) return;
  if (io.MouseWheel != 0) camera_.zoom_at(cursor, std::pow(kWheelStep, io.MouseWheel));
  if (ImGui::IsMouseDoubleClicked(ImGuiMouseButton_Left)) camera_.zoom_at(cursor, io.KeyShift ? 1 / kDoubleClickFactor : kDoubleClickFactor);
}

}  // namespace fovea
