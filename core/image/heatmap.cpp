#include "core/image/heatmap.h"

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>

namespace fovea {
namespace {

constexpr int kMargin = 8, kBarWidth = 22, kBarSpace = 128, kLineHeight = 22;
constexpr double kFontScale = 0.45;
const cv::Scalar kInk(235, 235, 235);   // on black

cv::Mat view(ImageU8& image) {
  return cv::Mat(static_cast<int>(image.height()), static_cast<int>(image.width()), CV_8UC3, image.samples().data());
}

// 256 colours, RGB.
cv::Mat table_of(ColourMap map) {
  cv::Mat grey(1, 256, CV_8UC1), table;
  for (int i = 0; i < 256; ++i) grey.at<std::uint8_t>(0, i) = static_cast<std::uint8_t>(i);
  const int code = map == ColourMap::kViridis ? cv::COLORMAP_VIRIDIS : map == ColourMap::kMagma ? cv::COLORMAP_MAGMA : cv::COLORMAP_CIVIDIS;
  cv::applyColorMap(grey, table, code);
  cv::cvtColor(table, table, cv::COLOR_BGR2RGB);
  return table;
}

void write_text(cv::Mat picture, const std::string& text, cv::Point place) {
  cv::putText(picture, text, place, cv::FONT_HERSHEY_SIMPLEX, kFontScale, kInk, 1, cv::LINE_AA);
}

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g", value);
  return text;
}

// A vertical bar with its low, middle and high value.
void draw_bar(cv::Mat picture, cv::Rect place, const HeatmapOptions& options) {
  const cv::Mat table = table_of(options.map);
  for (int y = 0; y < place.height; ++y) {
    const int entry = 255 - y * 255 / std::max(1, place.height - 1);
    picture.row(place.y + y).colRange(place.x, place.x + place.width).setTo(cv::Scalar(table.at<cv::Vec3b>(0, entry)));
  }
  const int right = place.x + place.width + 6;
  write_text(picture, number(options.range.high), {right, place.y + 12});
  write_text(picture, number((options.range.low + options.range.high) / 2), {right, place.y + place.height / 2 + 5});
  write_text(picture, number(options.range.low), {right, place.y + place.height - 2});
}

void draw_marks(cv::Mat picture, const std::vector<Rect>& marks) {
  for (const auto& mark : marks) {
    const cv::Rect box(static_cast<int>(mark.x), static_cast<int>(mark.y), static_cast<int>(mark.width), static_cast<int>(mark.height));
    cv::rectangle(picture, cv::Rect(box.x - 2, box.y - 2, box.width + 4, box.height + 4), cv::Scalar(0, 0, 0), 1);
    cv::rectangle(picture, cv::Rect(box.x - 1, box.y - 1, box.width + 2, box.height + 2), cv::Scalar(255, 255, 255), 1);
  }
}

}  // namespace

ColourMap parse_colour_map(std::string_view name) {
  if (name == "viridis") return ColourMap::kViridis;
  if (name == "magma") return ColourMap::kMagma;
  if (name == "cividis") return ColourMap::kCividis;
  throw Error(ErrorKind::kUsage, "colour map '" + std::string(name) + "', expected viridis, magma or cividis");
}

ValueRange percentile_range(std::span<const float> values, double low_percent, double high_percent) {
  require(0 <= low_percent && low_percent <= high_percent && high_percent <= 100, "percentiles lie in 0 ... 100");
  std::vector<float> finite;
  std::copy_if(values.begin(), values.end(), std::back_inserter(finite), [](float value) { return std::isfinite(value); });
  if (finite.empty()) return {};
  std::sort(finite.begin(), finite.end());
  const auto at = [&](double percent) {
    const double place = percent / 100 * static_cast<double>(finite.size() - 1);
    const auto below = static_cast<std::size_t>(place);
    const auto above = std::min(below + 1, finite.size() - 1);
    return finite[below] + (place - static_cast<double>(below)) * (static_cast<double>(finite[above]) - finite[below]);
  };
  return {at(low_percent), at(high_percent)};
}

ImageU8 colour_values(const ImageF32& values, const ValueRange& range, ColourMap map) {
  require(values.channels() == 1, "colour_values: one channel");
  const cv::Mat table = table_of(map);
  ImageU8 colours(values.width(), values.height(), 3);
  const double extent = range.high - range.low;
  std::uint8_t* out = colours.samples().data();
  for (const float value : values.samples()) {
    const double share = extent > 0 ? std::clamp((value - range.low) / extent, 0.0, 1.0) : value > range.low ? 1.0 : 0.0;
    const auto colour = std::isnan(value) ? cv::Vec3b(0, 0, 0) : table.at<cv::Vec3b>(0, static_cast<int>(std::lround(share * 255)));
    for (int c = 0; c < 3; ++c) *out++ = colour[c];
  }
  return colours;
}

ImageU8 draw_heatmap(const ImageU8& rgb, const ImageF32& values, const HeatmapOptions& options) {
  require(rgb.channels() == 3, "draw_heatmap: an RGB image");
  ImageU8 cells = colour_values(values, options.range, options.map), base = rgb.clone();
  cv::Mat stretched;
  cv::resize(view(cells), stretched, cv::Size(static_cast<int>(rgb.width()), static_cast<int>(rgb.height())), 0, 0, cv::INTER_NEAREST);
  ImageU8 picture(rgb.width() + kBarSpace, std::max<std::int64_t>(rgb.height(), 3 * kLineHeight) + kLineHeight, 3);
  cv::Mat whole = view(picture);
  whole.setTo(cv::Scalar(0, 0, 0));
  cv::Mat place = whole(cv::Rect(0, 0, static_cast<int>(rgb.width()), static_cast<int>(rgb.height())));
  cv::addWeighted(stretched, options.opacity, view(base), 1 - options.opacity, 0, place);
  draw_marks(place, options.marks);
  const int bottom = static_cast<int>(picture.height()) - kLineHeight;
  draw_bar(whole, {static_cast<int>(rgb.width()) + kMargin, kMargin, kBarWidth, bottom - 2 * kMargin}, options);
  write_text(whole, options.caption + (options.unit.empty() ? "" : "  [" + options.unit + "]"), {kMargin, bottom + 15});
  return picture;
}

ImageU8 draw_captioned(const ImageU8& rgb, const std::string& caption, const std::vector<Rect>& marks) {
  ImageU8 picture(rgb.width(), rgb.height() + kLineHeight, 3), base = rgb.clone();
  cv::Mat whole = view(picture);
  whole.setTo(cv::Scalar(0, 0, 0));
  cv::Mat place = whole(cv::Rect(0, 0, static_cast<int>(rgb.width()), static_cast<int>(rgb.height())));
  view(base).copyTo(place);
  draw_marks(place, marks);
  write_text(whole, caption, {kMargin, static_cast<int>(rgb.height()) + 15});
  return picture;
}

ImageU8 draw_wall(const std::vector<WallPanel>& panels, std::int64_t columns, std::int64_t panel_pixels, const HeatmapOptions& options) {
  require(!panels.empty() && columns > 0, "draw_wall: at least one panel");
  const auto& first = panels.front().values;
  const double scale = static_cast<double>(panel_pixels) / static_cast<double>(std::max(first.width(), first.height()));
  const cv::Size size(std::max(1, static_cast<int>(std::lround(static_cast<double>(first.width()) * scale))),
                      std::max(1, static_cast<int>(std::lround(static_cast<double>(first.height()) * scale))));
  const auto rows = (static_cast<std::int64_t>(panels.size()) + columns - 1) / columns;
  const int step_x = size.width + kMargin, step_y = size.height + kLineHeight;
  ImageU8 picture(columns * step_x + kBarSpace, rows * step_y + kLineHeight, 3);
  cv::Mat whole = view(picture);
  whole.setTo(cv::Scalar(0, 0, 0));
  for (std::size_t i = 0; i < panels.size(); ++i) {
    ImageU8 cells = colour_values(panels[i].values, options.range, options.map);
    const int x = static_cast<int>(static_cast<std::int64_t>(i) % columns) * step_x,
              y = static_cast<int>(static_cast<std::int64_t>(i) / columns) * step_y;
    cv::resize(view(cells), whole(cv::Rect(x, y + kLineHeight - 4, size.width, size.height)), size, 0, 0, cv::INTER_NEAREST);
    write_text(whole, panels[i].label, {x + 2, y + 13});
  }
  const int bottom = static_cast<int>(rows) * step_y;
  draw_bar(whole, {static_cast<int>(columns) * step_x + kMargin, kLineHeight, kBarWidth, std::max(60, bottom - 2 * kLineHeight)}, options);
  write_text(whole, options.caption + (options.unit.empty() ? "" : "  [" + options.unit + "]"), {kMargin, bottom + 15});
  return picture;
}

}  // namespace fovea
