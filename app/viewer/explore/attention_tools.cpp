#include "app/viewer/explore/attention_tools.h"

#include <algorithm>
#include <cmath>

#include "app/viewer/explore/region.h"

namespace fovea::explore {
namespace {

constexpr double kMostDabs = 1000;       // of one movement of the mouse
constexpr ImU32 kUnderMouse = IM_COL32(255, 255, 255, 150), kDragged = IM_COL32(255, 255, 255, 255);

}  // namespace

std::string_view method_of_modifiers(ImGuiKeyChord modifiers) {
  if (modifiers & ImGuiMod_Ctrl) return "rollout";
  if (modifiers & ImGuiMod_Shift) return "column";
  return {};
}

void PickTool::handle(const CanvasEvent& event) {
  const auto& encoded = explorer_.encoded();
  under_mouse_ = encoded ? token_at(*encoded, event.image.x, event.image.y) : std::nullopt;
  switch (event.phase) {
    case CanvasPhase::kDrag: {
      const auto before = dragged_;
      dragged_ = encoded ? tokens_of(*encoded, event.start.x, event.start.y, event.image.x, event.image.y) : std::nullopt;
      // Answered while the hand still moves. A box of one token is a click's business, whose own event follows the release.
      if (dragged_ && dragged_ != before && dragged_->rows * dragged_->columns > 1)
        explorer_.pick({.box = dragged_}, method_of_modifiers(event.modifiers));
      break;
    }
    case CanvasPhase::kRelease:
      dragged_.reset();
      break;
    case CanvasPhase::kClick:
      if (explorer_.encoding()) break;
      if (!encoded) messages_.warn("Nothing is encoded yet: press E to encode what you see, then click a token");
      else if (event.modifiers & ImGuiMod_Alt) explorer_.next_global_token();
      else if (under_mouse_) explorer_.pick({.box = under_mouse_}, method_of_modifiers(event.modifiers));
      else messages_.warn("This place is outside the encoded region: press E to encode what you see");
      break;
    case CanvasPhase::kLeave: case CanvasPhase::kCancel:
      under_mouse_.reset();
      dragged_.reset();
      break;
    case CanvasPhase::kHover: case CanvasPhase::kPress: break;
  }
}

void PickTool::paint(const CanvasPainter& painter) {
  const auto& encoded = explorer_.encoded();
  if (!encoded) return;
  if (dragged_) painter.outline(RectD::of(pixels_of(*encoded, *dragged_)), kDragged);
  else if (under_mouse_) painter.outline(RectD::of(pixels_of(*encoded, *under_mouse_)), kUnderMouse, 1);
}

std::string PickTool::hint() const {
  if (explorer_.encoding()) return "encoding: Escape cancels";
  if (!explorer_.encoded()) return "press E to encode what you see";
  return "click: where the token looks, drag: a box; Shift: who looks at it, Ctrl: rollout, Alt: global tokens";
}

// From where the mouse was to where it is: a fast hand leaves no gaps.
void BrushTool::stroke_to(const CanvasEvent& event) {
  if (!explorer_.encoded()) return;
  const Point from = event.phase == CanvasPhase::kPress ? event.image : mouse_;
  const double length = std::hypot(event.image.x - from.x, event.image.y - from.y);
  const auto steps = static_cast<std::int64_t>(std::min(kMostDabs, std::ceil(length / std::max(1.0, image_radius_ / 2))));
  for (std::int64_t i = 1; i <= std::max<std::int64_t>(1, steps); ++i) {
    const double share = static_cast<double>(i) / static_cast<double>(std::max<std::int64_t>(1, steps));
    dab({from.x + share * (event.image.x - from.x), from.y + share * (event.image.y - from.y)});
  }
}

void BrushTool::dab(Point p) {
  const Encoded& encoded = *explorer_.encoded();
  const double radius = image_radius_;
  const auto box = tokens_of(encoded, p.x - radius, p.y - radius, p.x + radius, p.y + radius);
  if (!box) return;
  const auto patch = static_cast<double>(encoded.model->config.encoder.patch);
  const auto centre = token_at(encoded, p.x, p.y);
  for (std::int64_t row = box->row; row < box->row + box->rows; ++row) {
    for (std::int64_t column = box->column; column < box->column + box->columns; ++column) {
      const double x = static_cast<double>(encoded.computed.x) + (static_cast<double>(column) + 0.5) * patch;
      const double y = static_cast<double>(encoded.computed.y) + (static_cast<double>(row) + 0.5) * patch;
      const bool inside = std::hypot(x - p.x, y - p.y) <= radius || (centre && centre->row == row && centre->column == column);
      if (inside && taken_.insert(row * encoded.columns + column).second) stroke_.push_back({row, column, 1});
    }
  }
}

void BrushTool::handle(const CanvasEvent& event) {
  image_radius_ = radius_points * event.image_pixels_a_point;
  hovering_ = event.phase != CanvasPhase::kLeave;
  const std::size_t before = event.phase == CanvasPhase::kPress ? 0 : stroke_.size();
  if (event.phase == CanvasPhase::kPress || event.phase == CanvasPhase::kCancel) {
    stroke_.clear();
    taken_.clear();
  }
  if (event.phase == CanvasPhase::kPress || event.phase == CanvasPhase::kDrag) stroke_to(event);
  mouse_ = event.image;
  if (stroke_.size() > before) explorer_.pick({.brush = stroke_}, method_of_modifiers(event.modifiers));
}

void BrushTool::paint(const CanvasPainter& painter) {
  if (hovering_ && explorer_.encoded()) {
    painter.list.AddCircle(painter.to_screen(mouse_), radius_points * painter.scale, kDragged, 0, 1.5f * painter.scale);
  }
}

std::vector<BrushToken> tokens_inside(const Encoded& encoded, std::span<const Point> line) {
  std::vector<BrushToken> tokens;
  const auto patch = static_cast<double>(encoded.model->config.encoder.patch);
  const auto x0 = static_cast<double>(encoded.computed.x), y0 = static_cast<double>(encoded.computed.y);
  std::vector<double> crossings;
  for (std::int64_t row = 0; row < encoded.rows; ++row) {
    const double y = y0 + (static_cast<double>(row) + 0.5) * patch;
    crossings.clear();
    for (std::size_t i = 0; i < line.size(); ++i) {
      const Point a = line[i], b = line[(i + 1) % line.size()];
      if ((a.y <= y) != (b.y <= y)) crossings.push_back(a.x + (y - a.y) / (b.y - a.y) * (b.x - a.x));
    }
    std::ranges::sort(crossings);
    for (std::size_t i = 0; i + 1 < crossings.size(); i += 2) {
      // The first middle from x on.
      const auto column_at = [&](double x) { return static_cast<std::int64_t>(std::ceil((x - x0) / patch - 0.5)); };
      const std::int64_t end = std::min(encoded.columns, column_at(crossings[i + 1]));
      const std::int64_t begin = std::max<std::int64_t>(0, column_at(crossings[i]));
      for (std::int64_t column = begin; column < end; ++column) tokens.push_back({row, column, 1});
    }
  }
  return tokens;
}

// Answered while the hand still moves, as a box is. A line around no token's middle takes the one where it began.
void LassoTool::handle(const CanvasEvent& event) {
  const auto& encoded = explorer_.encoded();
  const bool moves = event.phase == CanvasPhase::kPress || event.phase == CanvasPhase::kDrag;
  if (event.phase == CanvasPhase::kPress) line_.clear();
  if (!moves || !encoded) {
    if (event.phase != CanvasPhase::kHover) line_.clear();
    return;
  }
  line_.push_back(event.image);
  std::vector<BrushToken> inside = tokens_inside(*encoded, line_);
  const auto first = token_at(*encoded, line_.front().x, line_.front().y);
  if (inside.empty() && first) inside.push_back({first->row, first->column, 1});
  if (!inside.empty()) explorer_.pick({.brush = std::move(inside)}, method_of_modifiers(event.modifiers));
}

void LassoTool::paint(const CanvasPainter& painter) {
  if (line_.size() < 2) return;
  std::vector<ImVec2> points;
  for (const Point& p : line_) points.push_back(painter.to_screen(p));
  painter.list.AddPolyline(points.data(), static_cast<int>(points.size()), kDragged, 2 * painter.scale);
  painter.list.AddLine(points.back(), points.front(), kUnderMouse, painter.scale);   // how it would be closed
}

}  // namespace fovea::explore
