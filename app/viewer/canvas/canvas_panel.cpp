#include "app/viewer/canvas/canvas_panel.h"

#include <algorithm>
#include <cmath>

#include "app/viewer/canvas/scale_bar.h"
#include "app/viewer/theme.h"

namespace fovea {
namespace {

constexpr double kWheelStep = 1.25;          // zoom a notch
constexpr double kDoubleClickFactor = 2;
constexpr float kClickSlack = 4;             // points that a hand may move during a click
constexpr float kViewGap = 2;                // points between four views

ImGuiKeyChord held_modifiers() {
  const ImGuiIO& io = ImGui::GetIO();
  return (io.KeyShift ? static_cast<int>(ImGuiMod_Shift) : 0) | (io.KeyCtrl ? static_cast<int>(ImGuiMod_Ctrl) : 0) |
         (io.KeyAlt ? static_cast<int>(ImGuiMod_Alt) : 0);
}

}  // namespace

std::array<CanvasPanel::View, CanvasPanel::kMaxViews> CanvasPanel::arrange(ImVec2 origin, ImVec2 size) const {
  if (workspace_.comparison.arrangement == Arrangement::kSingle) return {View{origin, size}};
  const ImVec2 half{std::max(1.0f, std::floor((size.x - kViewGap) / 2)), std::max(1.0f, std::floor((size.y - kViewGap) / 2))};
  std::array<View, kMaxViews> views;
  for (std::size_t i = 0; i < kMaxViews; ++i) {
    views[i] = {{origin.x + (i % 2 ? half.x + kViewGap : 0), origin.y + (i / 2 ? half.y + kViewGap : 0)}, half};
  }
  return views;
}

CanvasState CanvasPanel::show(double now_s, double elapsed_s, CanvasFurniture furniture) {
  Camera& camera = workspace_.camera;
  const ImVec2 origin = ImGui::GetCursorScreenPos();
  ImVec2 size = ImGui::GetContentRegionAvail();
  size = {std::max(1.0f, size.x), std::max(1.0f, size.y)};
  const float density = ImGui::GetIO().DisplayFramebufferScale.x > 0 ? ImGui::GetIO().DisplayFramebufferScale.x : 1;
  const auto views = arrange(origin, size);
  const int count = workspace_.comparison.views();
  const int width = std::max(1, static_cast<int>(std::lround(views[0].size.x * density)));
  const int height = std::max(1, static_cast<int>(std::lround(views[0].size.y * density)));
  if (camera.canvas().width != width || camera.canvas().height != height) {
    camera.set_canvas({static_cast<double>(width), static_cast<double>(height)});
  }

  ImGui::SetNextItemAllowOverlap();
  ImGui::InvisibleButton("##canvas", size, ImGuiButtonFlags_MouseButtonLeft | ImGuiButtonFlags_MouseButtonMiddle);
  ImGui::SetItemKeyOwner(ImGuiKey_MouseWheelY);
  CanvasState state{.hovered = ImGui::IsItemHovered(), .cursor_image = {}, .origin = origin, .size = size};
  const ImVec2 mouse = ImGui::GetIO().MousePos;
  if (!ImGui::IsItemActive() || ImGui::IsItemActivated()) {
    active_view_ = 0;
    for (int i = 0; i < count; ++i) {
      const View& view = views[static_cast<std::size_t>(i)];
      if (mouse.x >= view.origin.x && mouse.y >= view.origin.y) active_view_ = i;
    }
  }
  const ImVec2 view_origin = views[static_cast<std::size_t>(active_view_)].origin;
  if (ImGui::IsItemActive()) ImGui::SetItemKeyOwner(ImGuiMod_Alt);   // held for a click, it is not on its way to the menu
  if (workspace_.image) handle_mouse(view_origin, density);
  state.needs_frame = camera.advance(elapsed_s);
  state.cursor_image = camera.to_image({(mouse.x - view_origin.x) * density, (mouse.y - view_origin.y) * density});

  ImDrawList& list = *ImGui::GetWindowDrawList();
  for (int i = 0; i < count; ++i) {
    const View& view = views[static_cast<std::size_t>(i)];
    Offscreen& picture = pictures_[static_cast<std::size_t>(i)];
    picture.begin(width, height, theme_colours().canvas);
    state.needs_frame |= draw_layers(i, now_s) == LayerProgress::kMoving;
    picture.end();
    // OpenGL's first row is the bottom one.
    list.AddImage(static_cast<ImTextureID>(picture.texture()), view.origin, {view.origin.x + view.size.x, view.origin.y + view.size.y},
                  {0, 1}, {1, 0});
    if (workspace_.image) decorate(view, i, density);
  }
  if (workspace_.image && furniture == CanvasFurniture::kAll) show_furniture({origin, size}, density, now_s);
  return state;
}

void CanvasPanel::decorate(const View& view, int index, float density) {
  const Camera& camera = workspace_.camera;
  ImDrawList& list = *ImGui::GetWindowDrawList();
  const Point low = camera.to_image({0, 0}), high = camera.to_image({camera.canvas().width, camera.canvas().height});
  const CanvasPainter painter{.list = list,
                              .to_screen = [&](Point p) {
                                const Point c = camera.to_canvas(p);
                                return ImVec2(view.origin.x + static_cast<float>(c.x) / density,
                                              view.origin.y + static_cast<float>(c.y) / density);
                              },
                              .points_an_image_pixel = camera.zoom() / density, .scale = ImGui::GetStyle().FontScaleDpi,
                              .visible_level0 = {low.x, low.y, high.x - low.x, high.y - low.y}, .view = index};
  const ImVec2 end{view.origin.x + view.size.x, view.origin.y + view.size.y};
  const float margin = 10 * painter.scale;
  list.PushClipRect(view.origin, end, true);
  for (const auto& decoration : workspace_.decorations) decoration(painter);
  if (Tool* tool = workspace_.tools.active().tool.get()) tool->paint(painter);
  if (const std::string caption = workspace_.comparison.caption(workspace_.layers, index); !caption.empty()) {
    const ImVec2 text = ImGui::CalcTextSize(caption.c_str()),
                 at{std::floor(view.origin.x + (view.size.x - text.x - margin) / 2), end.y - text.y - 2 * margin};
    list.AddRectFilled(at, {at.x + text.x + margin, at.y + text.y + margin / 2}, IM_COL32(0, 0, 0, 150), 4 * painter.scale);
    list.AddText({at.x + margin / 2, at.y + margin / 4}, IM_COL32(255, 255, 255, 235), caption.c_str());
  }
  if (index == 0 && workspace_.settings.scale_bar && view.size.x > 200 * painter.scale && view.size.y > 100 * painter.scale) {
    const double longest = 0.2 * view.size.x / painter.points_an_image_pixel;
    draw_scale_bar(painter, choose_scale_bar(longest, metres_a_pixel(workspace_.image->info.georeference)),
                   {view.origin.x + margin, end.y - margin});
  }
  list.PopClipRect();
}

void CanvasPanel::show_furniture(const View& all, float density, double now_s) {
  const float margin = 10 * ImGui::GetStyle().FontScaleDpi;
  if (workspace_.comparison.curtain.on && workspace_.comparison.arrangement == Arrangement::kSingle) show_curtain_handle(all);
  if (workspace_.settings.minimap) minimap_.show({all.origin.x + all.size.x - margin, all.origin.y + margin}, all.size, density, now_s);
}

void CanvasPanel::show_curtain_handle(const View& view) {
  Curtain& curtain = workspace_.comparison.curtain;
  const float scale = ImGui::GetStyle().FontScaleDpi, x = view.origin.x + curtain.place * view.size.x, grip = 8 * scale;
  ImGui::SetCursorScreenPos({x - grip, view.origin.y});
  ImGui::InvisibleButton("##curtain", {2 * grip, view.size.y});
  if (ImGui::IsItemHovered() || ImGui::IsItemActive()) ImGui::SetMouseCursor(ImGuiMouseCursor_ResizeEW);
  if (ImGui::IsItemActive()) {
    curtain.place = std::clamp((ImGui::GetIO().MousePos.x - view.origin.x) / view.size.x, 0.0f, 1.0f);
    workspace_.history.touch("Move curtain");
  }
  ImDrawList& list = *ImGui::GetWindowDrawList();
  const float y = view.origin.y + view.size.y / 2;
  list.AddLine({x, view.origin.y}, {x, view.origin.y + view.size.y}, IM_COL32(0, 0, 0, 160), 4 * scale);
  list.AddLine({x, view.origin.y}, {x, view.origin.y + view.size.y}, IM_COL32(255, 255, 255, 235), 2 * scale);
  list.AddCircleFilled({x, y}, grip + 2 * scale, IM_COL32(255, 255, 255, 235));
  list.AddTriangleFilled({x - 2 * scale, y - 4 * scale}, {x - 2 * scale, y + 4 * scale}, {x - 6 * scale, y}, IM_COL32(20, 20, 20, 255));
  list.AddTriangleFilled({x + 2 * scale, y - 4 * scale}, {x + 2 * scale, y + 4 * scale}, {x + 6 * scale, y}, IM_COL32(20, 20, 20, 255));
}

LayerProgress CanvasPanel::draw_layers(int view, double now_s) {
  LayerProgress progress = LayerProgress::kSettled;
  const Camera& camera = workspace_.camera;
  const LayerFrame frame{.camera = camera, .painter = painter_, .now_s = now_s};
  for (std::size_t i = 0; i < workspace_.layers.size(); ++i) {
    const Span span = workspace_.comparison.span(workspace_.layers, i, view);
    if (span.empty()) continue;
    const auto from = static_cast<GLint>(std::lround(span.from * camera.canvas().width)),
               to = static_cast<GLint>(std::lround(span.to * camera.canvas().width));
    glEnable(GL_SCISSOR_TEST);
    glScissor(from, 0, std::max(0, to - from), static_cast<GLsizei>(camera.canvas().height));
    if (workspace_.layers.at(i).draw(frame) == LayerProgress::kMoving) progress = LayerProgress::kMoving;
  }
  glDisable(GL_SCISSOR_TEST);
  return progress;
}

void CanvasPanel::send(CanvasPhase phase, Point image) {
  Tool* tool = workspace_.tools.active().tool.get();
  if (!tool) return;
  const float density = ImGui::GetIO().DisplayFramebufferScale.x > 0 ? ImGui::GetIO().DisplayFramebufferScale.x : 1;
  tool->handle({.phase = phase, .image = image, .start = press_image_, .image_pixels_a_point = density / workspace_.camera.zoom(),
                .modifiers = pressed_ ? press_modifiers_ : held_modifiers()});
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
    press_modifiers_ = held_modifiers();
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
  if (!tool_has_left && ImGui::IsMouseDoubleClicked(ImGuiMouseButton_Left)) {
    camera.zoom_at(cursor, io.KeyShift ? 1 / kDoubleClickFactor : kDoubleClickFactor);
  }
}

}  // namespace fovea
