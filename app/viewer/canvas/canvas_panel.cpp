#include "app/viewer/canvas/canvas_panel.h"

#include <algorithm>
#include <cmath>

namespace fovea {
namespace {

constexpr double kWheelStep = 1.25;          // zoom a notch
constexpr double kDoubleClickFactor = 2;
constexpr float kClickSlack = 4;             // points that a hand may move during a click
constexpr float kBackground[4] = {0.09f, 0.09f, 0.10f, 1};

ImGuiKeyChord held_modifiers() {
  const ImGuiIO& io = ImGui::GetIO();
  return (io.KeyShift ? static_cast<int>(ImGuiMod_Shift) : 0) | (io.KeyCtrl ? static_cast<int>(ImGuiMod_Ctrl) : 0) | (io.KeyAlt ? static_cast<int>(ImGuiMod_Alt) : 0);
}

}  // namespace

CanvasState CanvasPanel::show(double now_s, double elapsed_s) {
  Camera& camera = workspace_.camera;
  const ImVec2 origin = ImGui::GetCursorScreenPos();
  ImVec2 size = ImGui::GetContentRegionAvail();
  size = {std::max(1.0f, size.x), std::max(1.0f, size.y)};
  const float density = ImGui::GetIO().DisplayFramebufferScale.x > 0 ? ImGui::GetIO().DisplayFramebufferScale.x : 1;
  const int width = static_cast<int>(std::lround(size.x * density)), height = static_cast<int>(std::lround(size.y * density));
  if (camera.canvas().width != width || camera.canvas().height != height) camera.set_canvas({static_cast<double>(width), static_cast<double>(height)});

  ImGui::InvisibleButton("##canvas", size, ImGuiButtonFlags_MouseButtonLeft | ImGuiButtonFlags_MouseButtonMiddle);
  ImGui::SetItemKeyOwner(ImGuiKey_MouseWheelY);
  CanvasState state{.hovered = ImGui::IsItemHovered(), .cursor_image = {}};
  if (workspace_.image) handle_mouse(origin, density);
  state.needs_frame = camera.advance(elapsed_s);
  const ImVec2 mouse = ImGui::GetIO().MousePos;
  state.cursor_image = camera.to_image({(mouse.x - origin.x) * density, (mouse.y - origin.y) * density});

  picture_.begin(width, height, kBackground);
  state.needs_frame |= draw_layers(now_s) == LayerProgress::kMoving;
  picture_.end();
  // OpenGL's first row is the bottom one.
  ImDrawList& list = *ImGui::GetWindowDrawList();
  list.AddImage(static_cast<ImTextureID>(picture_.texture()), origin, {origin.x + size.x, origin.y + size.y}, {0, 1}, {1, 0});
  if (workspace_.image) {
    const Point low = camera.to_image({0, 0}), high = camera.to_image({static_cast<double>(width), static_cast<double>(height)});
    const CanvasPainter painter{.list = list,
                                .to_screen = [&](Point p) {
                                  const Point c = camera.to_canvas(p);
                                  return ImVec2(origin.x + static_cast<float>(c.x) / density, origin.y + static_cast<float>(c.y) / density);
                                },
                                .points_an_image_pixel = camera.zoom() / density, .scale = ImGui::GetStyle().FontScaleDpi,
                                .visible_level0 = {low.x, low.y, high.x - low.x, high.y - low.y}};
    list.PushClipRect(origin, {origin.x + size.x, origin.y + size.y}, true);
    for (const auto& decoration : workspace_.decorations) decoration(painter);
    if (Tool* tool = workspace_.tools.active().tool.get()) tool->paint(painter);
    list.PopClipRect();
  }
  return state;
}

LayerProgress CanvasPanel::draw_layers(double now_s) {
  LayerProgress progress = LayerProgress::kSettled;
  const LayerFrame frame{.camera = workspace_.camera, .painter = painter_, .now_s = now_s};
  for (const auto& layer : workspace_.layers.all()) {
    if (layer->style.visible && layer->draw(frame) == LayerProgress::kMoving) progress = LayerProgress::kMoving;
  }
  return progress;
}

void CanvasPanel::send(CanvasPhase phase, Point image) {
  Tool* tool = workspace_.tools.active().tool.get();
  if (!tool) return;
  const float density = ImGui::GetIO().DisplayFramebufferScale.x > 0 ? ImGui::GetIO().DisplayFramebufferScale.x : 1;
  tool->handle({.phase = phase, .image = image, .start = press_image_, .image_pixels_a_point = density / workspace_.camera.zoom(), .modifiers = held_modifiers()});
}

void CanvasPanel::handle_mouse(ImVec2 origin, float density) {
  const ImGuiIO& io = ImGui::GetIO();
  Camera& camera = workspace_.camera;
  const Point cursor{(io.MousePos.x - origin.x) * density, (io.MousePos.y - origin.y) * density};
  const bool moved = io.MouseDelta.x != 0 || io.MouseDelta.y != 0;
  const bool active = ImGui::IsItemActive(), hovered = ImGui::IsItemHovered();
  const bool tool_has_left = workspace_.tools.active().tool != nullptr;

  if (ImGui::IsItemActivated()) {
    panning_ = !tool_has_left || io.MouseDown[ImGuiMouseButton_Middle] || ImGui::IsKeyDown(ImGuiKey_Space);
    pressed_ = !panning_;
    press_image_ = camera.to_image(cursor);
    press_screen_ = io.MousePos;
    if (pressed_) send(CanvasPhase::kPress, press_image_);
  } else if (active && moved) {
    // Not in the frame in which the button went down: that frame's motion happened before.
    if (panning_) camera.drag({io.MouseDelta.x * density, io.MouseDelta.y * density});
    else if (pressed_) send(CanvasPhase::kDrag, camera.to_image(cursor));
  } else if (hovered && moved && !active) {
    send(CanvasPhase::kHover, camera.to_image(cursor));
  }
  if (pressed_ && ImGui::IsKeyPressed(ImGuiKey_Escape)) {
    pressed_ = false;
    send(CanvasPhase::kCancel, camera.to_image(cursor));
  }
  if (ImGui::IsItemDeactivated()) {
    if (pressed_) {
      send(CanvasPhase::kRelease, camera.to_image(cursor));
      if (std::hypot(io.MousePos.x - press_screen_.x, io.MousePos.y - press_screen_.y) <= kClickSlack * ImGui::GetStyle().FontScaleDpi) {
        send(CanvasPhase::kClick, camera.to_image(cursor));
      }
    }
    pressed_ = panning_ = false;
  }
  if (was_hovered_ && !hovered && !active) send(CanvasPhase::kLeave, camera.to_image(cursor));
  was_hovered_ = hovered;
  if (!hovered) return;
  if (io.MouseWheel != 0) camera.zoom_at(cursor, std::pow(kWheelStep, io.MouseWheel));
  if (!tool_has_left && ImGui::IsMouseDoubleClicked(ImGuiMouseButton_Left)) camera.zoom_at(cursor, io.KeyShift ? 1 / kDoubleClickFactor : kDoubleClickFactor);
}

}  // namespace fovea
