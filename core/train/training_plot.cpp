#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string_view>

#include "core/train/training_log.h"

namespace fovea {
namespace {

using nlohmann::json;

constexpr double kLeft = 60, kRight = 700, kTop = 40, kBottom = 310;
constexpr const char* kLossColour = "#1f6f8b";
constexpr const char* kScoreColour = "#c8553d";

struct Point { double step, value; };

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

std::string pixel(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", value);
  return text;
}

std::vector<Point> points(const std::vector<json>& events, std::string_view kind, const char* key) {
  std::vector<Point> result;
  for (const auto& event : events) {
    if (event.value("event", "") != kind || !event.contains(key) || !event[key].is_number()) continue;
    result.push_back({event.value("step", 0.0), event[key].get<double>()});
  }
  return result;
}

// Running mean over about a fiftieth of the run.
std::vector<Point> smoothed(const std::vector<Point>& raw) {
  const double weight = 1 / std::max(1.0, static_cast<double>(raw.size()) / 50);
  std::vector<Point> result;
  for (const auto& point : raw) {
    const double previous = result.empty() ? point.value : result.back().value;
    result.push_back({point.step, previous + weight * (point.value - previous)});
  }
  return result;
}

// 1, 2 or 5 times a power of ten, so that about five of them fit.
double tick_distance(double range) {
  const double rough = range / 5, power = std::pow(10, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 5.0}) if (factor * power >= rough) return factor * power;
  return 10 * power;
}

struct Scale {
  double last_step, top;   // both axes start at 0
  std::string place(const Point& point) const {
    const double y = kBottom - std::clamp(point.value / top, 0.0, 1.0) * (kBottom - kTop);
    return pixel(kLeft + point.step / last_step * (kRight - kLeft)) + "," + pixel(y);
  }
};

std::string polyline(const std::vector<Point>& line, const Scale& scale, const std::string& style) {
  std::string svg = "<polyline fill=\"none\" " + style + " points=\"";
  for (const auto& point : line) svg += scale.place(point) + " ";
  return svg + "\"/>\n";
}

std::string text(double x, double y, const std::string& style, const std::string& content) {
  return "<text x=\"" + pixel(x) + "\" y=\"" + pixel(y) + "\" " + style + ">" + content + "</text>\n";
}

std::string escaped(const std::string& raw) {
  std::string result;
  for (const char c : raw) {
    if (c == '<') result += "&lt;";
    else if (c == '&') result += "&amp;";
    else result += c;
  }
  return result;
}

std::string axes(const Scale& loss) {
  std::string svg;
  const double tick = tick_distance(loss.top);
  for (double value = 0; value <= loss.top * 1.0001; value += tick) {
    const double y = kBottom - value / loss.top * (kBottom - kTop);
    svg += "<line x1=\"60\" x2=\"700\" y1=\"" + pixel(y) + "\" y2=\"" + pixel(y) + "\" stroke=\"#ddd\"/>\n";
    svg += text(kLeft - 6, y + 4, "text-anchor=\"end\" fill=\"" + std::string(kLossColour) + "\"", number(value));
  }
  for (int fifth = 0; fifth <= 5; ++fifth) {
    const double y = kBottom - fifth / 5.0 * (kBottom - kTop);
    svg += text(kRight + 6, y + 4, "fill=\"" + std::string(kScoreColour) + "\"", number(fifth / 5.0));
  }
  const double step_tick = tick_distance(loss.last_step);
  for (double step = 0; step <= loss.last_step * 1.0001; step += step_tick) {
    svg += text(kLeft + step / loss.last_step * (kRight - kLeft), kBottom + 18, "text-anchor=\"middle\"", number(step));
  }
  svg += "<rect x=\"60\" y=\"40\" width=\"640\" height=\"270\" fill=\"none\" stroke=\"#888\"/>\n";
  return svg + text((kLeft + kRight) / 2, kBottom + 36, "text-anchor=\"middle\"", "step");
}

}  // namespace

std::string plot_training(const std::vector<json>& events, const std::string& title) {
  const auto losses = points(events, "step", "loss");
  const auto means = smoothed(losses);
  const auto scores = points(events, "validation", "mean_iou");
  double last_step = 1, top = 1e-3;
  for (const auto& point : losses) last_step = std::max(last_step, point.step);
  for (const auto& point : means) top = std::max(top, point.value * 1.1);   // a single high step may leave the picture
  const Scale loss{last_step, top}, score{last_step, 1};

  std::string svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 760 360\" width=\"760\" height=\"360\" "
                    "font-family=\"sans-serif\" font-size=\"12\" fill=\"#333\">\n<rect width=\"760\" height=\"360\" fill=\"#fff\"/>\n";
  svg += text(kLeft, 24, "font-size=\"14\" font-weight=\"bold\"", escaped(title));
  svg += axes(loss);
  svg += polyline(losses, loss, "stroke=\"" + std::string(kLossColour) + "\" stroke-opacity=\"0.25\"");
  svg += polyline(means, loss, "stroke=\"" + std::string(kLossColour) + "\" stroke-width=\"2\"");
  svg += polyline(scores, score, "stroke=\"" + std::string(kScoreColour) + "\" stroke-width=\"2\"");
  for (const auto& point : scores) {
    const auto place = score.place(point);
    const auto comma = place.find(',');
    svg += "<circle cx=\"" + place.substr(0, comma) + "\" cy=\"" + place.substr(comma + 1) + "\" r=\"3\" fill=\"" + kScoreColour + "\"/>\n";
  }
  svg += text(480, 24, "fill=\"" + std::string(kLossColour) + "\"", "loss (running mean)");
  svg += text(610, 24, "fill=\"" + std::string(kScoreColour) + "\"", "mean IoU (right)");
  return svg + "</svg>\n";
}

}  // namespace fovea
