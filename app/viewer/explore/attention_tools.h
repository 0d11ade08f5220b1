// Choosing tokens on the canvas: a click is a token, a drag a box; the brush takes every token that it passes, the lasso what it goes round.
#pragma once

#include <optional>
#include <span>
#include <unordered_set>
#include <vector>

#include "app/viewer/canvas/tool.h"
#include "app/viewer/explore/explorer.h"
#include "app/viewer/messages.h"

namespace fovea::explore {

// The method that a modifier key asks for; empty for none. Alt is not among them: it asks for a global token.
std::string_view method_of_modifiers(ImGuiKeyChord modifiers);

class PickTool final : public Tool {
 public:
  PickTool(Explorer& explorer, Messages& messages) : explorer_(explorer), messages_(messages) {}
  void handle(const CanvasEvent& event) override;
  void paint(const CanvasPainter& painter) override;
  std::string hint() const override;

 private:
  Explorer& explorer_;
  Messages& messages_;
  std::optional<TokenBox> under_mouse_, dragged_;
};

class BrushTool final : public Tool {
 public:
  explicit BrushTool(Explorer& explorer) : explorer_(explorer) {}
  void handle(const CanvasEvent& event) override;
  void paint(const CanvasPainter& painter) override;
  std::string hint() const override { return "paint over tokens: their mean row; Shift: column, Ctrl: rollout"; }

  float radius_points = 10;              // on the screen

 private:
  void stroke_to(const CanvasEvent& event);
  void dab(Point centre);
  Explorer& explorer_;
  std::vector<BrushToken> stroke_;
  std::unordered_set<std::int64_t> taken_;   // row * columns + column of the stroke
  Point mouse_;
  double image_radius_ = 0;
  bool hovering_ = false;
};

// Tokens whose middle lies inside a closed line of points of the image; where it crosses itself, inside every other time.
std::vector<BrushToken> tokens_inside(const Encoded& encoded, std::span<const Point> line);

class LassoTool final : public Tool {
 public:
  explicit LassoTool(Explorer& explorer) : explorer_(explorer) {}
  void handle(const CanvasEvent& event) override;
  void paint(const CanvasPainter& painter) override;
  std::string hint() const override { return "go round what interests you: its mean row; Shift: column, Ctrl: rollout"; }

 private:
  Explorer& explorer_;
  std::vector<Point> line_;              // while the hand moves
};

}  // namespace fovea::explore
