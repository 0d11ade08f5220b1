#include "app/viewer/canvas/tool.h"

#include <algorithm>

#include "core/base/error.h"

namespace fovea {
namespace {

constexpr ImU32 kEdge = IM_COL32(0, 0, 0, 160);

}  // namespace

void CanvasPainter::outline(const RectD& rect, ImU32 colour, float width) const {
  const ImVec2 low = to_screen({rect.x, rect.y}), high = to_screen({rect.x + rect.width, rect.y + rect.height});
  list.AddRect(low, high, kEdge, 0, (width + 2) * scale);
  list.AddRect(low, high, colour, 0, width * scale);
}

void CanvasPainter::cross(Point image_point, ImU32 colour, float radius) const {
  const ImVec2 p = to_screen(image_point);
  const float r = radius * scale;
  for (const auto& [line_colour, width] : {std::pair{kEdge, 3.5f * scale}, std::pair{colour, 1.5f * scale}}) {
    list.AddLine({p.x - r, p.y}, {p.x + r, p.y}, line_colour, width);
    list.AddLine({p.x, p.y - r}, {p.x, p.y + r}, line_colour, width);
  }
}

ToolBox::ToolBox(ActionTable& actions) : actions_(actions) {
  add({.id = "pan", .title = "Pan", .shortcut = ImGuiKey_V, .tip = "Drag to move the image, double-click to zoom in", .tool = nullptr});
}

void ToolBox::add(ToolEntry entry) {
  require(std::ranges::none_of(entries_, [&](const ToolEntry& other) { return other.id == entry.id; }), "two tools are called " + entry.id);
  entries_.push_back(std::move(entry));
  ToolEntry& added = entries_.back();
  if (!active_) active_ = &added;
  actions_.add({.id = "tool." + added.id, .title = added.title, .group = "Tools", .shortcut = added.shortcut, .tip = added.tip,
                .run = [this, &added] { activate(added.id); }, .checked = [this, &added] { return active_ == &added; }});
}

void ToolBox::activate(std::string_view id) {
  const auto found = std::ranges::find(entries_, id, [](const ToolEntry& entry) -> std::string_view { return entry.id; });
  if (found == entries_.end() || active_ == &*found) return;
  if (active_->tool) active_->tool->handle({.phase = CanvasPhase::kCancel, .image = {}, .start = {}});
  active_ = &*found;
}

}  // namespace fovea
