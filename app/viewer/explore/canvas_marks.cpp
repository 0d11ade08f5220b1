#include "app/viewer/explore/canvas_marks.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "app/viewer/explore/region.h"
#include "core/image/heatmap.h"

namespace fovea::explore {
namespace {

// Told apart by lightness as much as by hue.
constexpr ImU32 kRegion = IM_COL32(255, 255, 255, 110), kChosen = IM_COL32(255, 255, 255, 255), kWindow = IM_COL32(255, 205, 60, 255),
                kField50 = IM_COL32(255, 255, 255, 255), kField90 = IM_COL32(120, 220, 255, 255), kOutlier = IM_COL32(255, 90, 160, 255);
constexpr double kPatience_s = 0.3;
constexpr std::int64_t kSmallestPart = 25;   // tokens; the panel's numbers count all
constexpr std::size_t kMostLines = 20000, kMostMarkers = 2000;

// A corner of tokens of a plane, in the image.
Point corner(const Encoded& encoded, const TokenBox& place, std::int64_t row, std::int64_t column) {
  const std::int64_t patch = encoded.model->config.encoder.patch;
  return {static_cast<double>(encoded.computed.x + (place.column + column) * patch),
          static_cast<double>(encoded.computed.y + (place.row + row) * patch)};
}

void draw_lines(const CanvasPainter& painter, const Encoded& encoded, const TokenBox& place, const std::vector<GridLine>& lines,
                ImU32 colour, float width) {
  std::size_t drawn = 0;
  const ImVec2 low = painter.list.GetClipRectMin(), high = painter.list.GetClipRectMax();
  for (const auto& [line_colour, line_width] : {std::pair{IM_COL32(0, 0, 0, 130), width + 2}, std::pair{colour, width}}) {
    for (const GridLine& line : lines) {
      const ImVec2 a = painter.to_screen(corner(encoded, place, line.row0, line.column0)),
                   b = painter.to_screen(corner(encoded, place, line.row1, line.column1));
      if (b.x < low.x || b.y < low.y || a.x > high.x || a.y > high.y) continue;
      if (++drawn > kMostLines) return;
      painter.list.AddLine(a, b, line_colour, line_width * painter.scale);
    }
  }
}

// Where a threshold cuts through tokens that hardly differ, thousands of outlines of one token say nothing.
std::vector<GridLine> field_outline(const ImageF32& plane, float threshold) {
  ImageU8 inside(plane.width(), plane.height(), 1);
  for (std::int64_t row = 0; row < plane.height(); ++row) {
    for (std::int64_t column = 0; column < plane.width(); ++column) inside.row(row)[column] = plane.row(row)[column] >= threshold;
  }
  inside = without_specks(inside, kSmallestPart);
  ImageF32 shown(plane.width(), plane.height(), 1);
  std::ranges::copy(inside.samples(), shown.samples().begin());
  return outline(shown, 0.5f);
}

void number_text(char (&text)[24], double value) { std::snprintf(text, sizeof text, "%.3g", value); }

// Shares are small numbers: in per cent they can be read.
bool in_percent(std::string_view unit) { return unit.starts_with("share of"); }

// The smallest box of tokens around some.
TokenBox box_around(const std::vector<BrushToken>& tokens) {
  std::int64_t top = tokens.front().row, bottom = top, left = tokens.front().column, right = left;
  for (const BrushToken& token : tokens) {
    top = std::min(top, token.row), bottom = std::max(bottom, token.row);
    left = std::min(left, token.column), right = std::max(right, token.column);
  }
  return {top, left, bottom - top + 1, right - left + 1};
}

}  // namespace

std::string title_of(const Question& question) {
  const MethodChoice& choice = method_choice(question.method);
  std::string title = question.method;
  if (question.tokens.global_token) title += " of global token " + std::to_string(*question.tokens.global_token);
  title += ", layer " + std::to_string(question.layer);
  if (!choice.by_head) return title;
  switch (question.heads.fusion) {
    case Fusion::kMean: return title + ", mean of heads";
    case Fusion::kMax: return title + ", maximum of heads";
    case Fusion::kMin: return title + ", minimum of heads";
    case Fusion::kOne: break;
  }
  return title + ", head " + std::to_string(question.heads.head);
}

void CanvasMarks::paint(const CanvasPainter& painter, const HeatLayer* heat) {
  const auto& encoded = explorer_.encoded();
  if (!encoded) return;
  painter.outline(RectD::of(encoded->asked), kRegion, 1);
  paint_field(painter, *encoded);
  paint_outliers(painter, *encoded);
  paint_tokens(painter, *encoded);
  const ImVec2 low = painter.list.GetClipRectMin(), high = painter.list.GetClipRectMax();
  const float gap = ImGui::GetFontSize() * 0.8f, width = std::min(ImGui::GetFontSize() * 16, high.x - low.x - 2 * gap);
  const float height = paint_bar(painter, heat, {low.x + gap, low.y + gap}, width);
  paint_waiting(painter, {low.x + gap, low.y + gap + height});
}

float CanvasMarks::paint_bar(const CanvasPainter& painter, const HeatLayer* heat, ImVec2 corner, float width) {
  const auto& shown = explorer_.shown();
  if (!heat || !shown || shown->plane.empty()) return 0;
  const std::string caption = title_of(shown->question);
  const ColourBar bar{.colours = heat->style.colours,
                      .low = heat->style.low,
                      .high = heat->style.high,
                      .caption = caption.c_str(),
                      .unit = shown->unit.c_str()};
  const ImVec2 size = colour_bar_size(bar, width), end = painter.list.GetClipRectMax();
  if (corner.x + size.x > end.x || corner.y + size.y > end.y) return 0;
  draw_colour_bar(painter.list, corner, width, bar);
  return size.y + ImGui::GetFontSize() * 0.4f;
}

// What is shown is still the last answer: says what is coming. Answers that are here at once do not flicker.
void CanvasMarks::paint_waiting(const CanvasPainter& painter, ImVec2 corner) {
  if (!explorer_.waiting()) return waiting_since_s_.reset();
  if (!waiting_since_s_) waiting_since_s_ = ImGui::GetTime();
  if (ImGui::GetTime() - *waiting_since_s_ < kPatience_s) return;
  Question asked{
      .method = explorer_.view.method, .tokens = explorer_.view.tokens, .layer = explorer_.view.layer, .heads = explorer_.view.heads};
  const std::string text = "asking: " + title_of(asked) + " …";
  const float pad = ImGui::GetFontSize() * 0.5f;
  const ImVec2 size = ImGui::CalcTextSize(text.c_str());
  painter.list.AddRectFilled(corner, {corner.x + size.x + 2 * pad, corner.y + size.y + pad}, IM_COL32(12, 12, 14, 215), pad * 0.6f);
  painter.list.AddText({corner.x + pad, corner.y + pad / 2}, IM_COL32(255, 205, 60, 255), text.c_str());
}

void CanvasMarks::paint_tokens(const CanvasPainter& painter, const Encoded& encoded) {
  const View& view = explorer_.view;
  if (view.window_outline) {
    const auto window = explorer_.window();   // of a dense layer: everything, which says nothing
    const bool everything = window && window->rows == encoded.rows && window->columns == encoded.columns;
    if (window && !everything) painter.outline(RectD::of(pixels_of(encoded, *window)), kWindow);
  }
  if (!method_choice(view.method).needs_tokens) return;
  if (view.tokens.box) painter.outline(RectD::of(pixels_of(encoded, *view.tokens.box)), kChosen, 2);
  if (view.tokens.brush.empty()) return;
  if (chosen_.of != view.tokens.brush) {
    chosen_.of = view.tokens.brush;
    chosen_.place = box_around(chosen_.of);
    ImageF32 inside(chosen_.place.columns, chosen_.place.rows, 1);
    std::ranges::fill(inside.samples(), 0.0f);
    for (const BrushToken& token : chosen_.of) inside.row(token.row - chosen_.place.row)[token.column - chosen_.place.column] = 1;
    chosen_.lines = outline(inside, 0.5f);
  }
  draw_lines(painter, encoded, chosen_.place, chosen_.lines, kChosen, 1.5f);
}

void CanvasMarks::paint_field(const CanvasPainter& painter, const Encoded& encoded) {
  const auto& reply = explorer_.field();
  if (!explorer_.view.field_contours || !reply) return;
  const std::size_t count = reply->contours.size();
  contours_.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    Contour& contour = contours_[i];
    const auto threshold = static_cast<float>(reply->contours[i].threshold);
    if (contour.reply != reply.get() || contour.threshold != threshold)
      contour = {reply.get(), threshold, field_outline(reply->plane, threshold)};
    draw_lines(painter, encoded, reply->place, contour.lines, reply->contours[i].share < 0.7 ? kField50 : kField90, 1.5f);
  }
}

void CanvasMarks::paint_outliers(const CanvasPainter& painter, const Encoded& encoded) {
  const auto& norms = explorer_.norms();
  if (!explorer_.view.outliers || !norms || !norms->outlier_threshold) return;
  std::size_t drawn = 0;
  for (std::int64_t row = 0; row < norms->plane.height(); ++row) {
    for (std::int64_t column = 0; column < norms->plane.width(); ++column) {
      if (norms->plane.row(row)[column] < *norms->outlier_threshold || ++drawn > kMostMarkers) continue;
      const Point a = corner(encoded, norms->place, row, column), b = corner(encoded, norms->place, row + 1, column + 1);
      painter.list.AddCircle(painter.to_screen({(a.x + b.x) / 2, (a.y + b.y) / 2}), 6 * painter.scale, kOutlier, 0, 2 * painter.scale);
    }
  }
}

ImVec2 colour_bar_size(const ColourBar& bar, float width) {
  const float line = ImGui::GetTextLineHeight(), pad = ImGui::GetFontSize() * 0.5f;
  return {width + 2 * pad, 2 * pad + 3.2f * line + ImGui::CalcTextSize(bar.caption, nullptr, false, width).y};
}

void draw_colour_bar(ImDrawList& list, ImVec2 place, float width, const ColourBar& bar) {
  const float line = ImGui::GetTextLineHeight(), pad = ImGui::GetFontSize() * 0.5f;
  const ImVec2 size = colour_bar_size(bar, width);
  list.AddRectFilled(place, {place.x + size.x, place.y + size.y}, IM_COL32(12, 12, 14, 215), pad * 0.6f);
  const ImU32 white = IM_COL32(240, 240, 240, 255), grey = IM_COL32(190, 190, 190, 255);
  float y = place.y + pad;
  const float x = place.x + pad;
  list.AddText(ImGui::GetFont(), ImGui::GetFontSize(), {x, y}, white, bar.caption, nullptr, width);
  y += ImGui::CalcTextSize(bar.caption, nullptr, false, width).y + 0.2f * line;
  const ColourEntries& colours = colour_entries(bar.colours);
  constexpr int kSteps = 128;
  for (int i = 0; i < kSteps; ++i) {
    const auto& c = colours[static_cast<std::size_t>(i * 255 / (kSteps - 1))];
    // Whole pixels: edges between them would be blended with what is behind.
    const auto edge = [&](int step) { return std::floor(x + width * static_cast<float>(step) / kSteps); };
    list.AddRectFilled({edge(i), y}, {edge(i + 1), y + 0.8f * line}, IM_COL32(c[0], c[1], c[2], 255));
  }
  list.AddRect({x, y}, {x + width, y + 0.8f * line}, IM_COL32(255, 255, 255, 90));
  y += 0.9f * line;
  char text[24];
  for (int i = 0; i <= 2; ++i) {
    const double value = bar.low + (bar.high - bar.low) * i / 2;
    if (in_percent(bar.unit)) std::snprintf(text, sizeof text, "%.2g %%", 100 * value);
    else number_text(text, value);
    const float text_width = ImGui::CalcTextSize(text).x;
    list.AddText({x + (width - text_width) * static_cast<float>(i) / 2, y}, white, text);
  }
  list.AddText({x, y + line}, grey, bar.unit);
}

}  // namespace fovea::explore
