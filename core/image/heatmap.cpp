#include "core/image/heatmap.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <opencv2/imgproc.hpp>

namespace fovea {
namespace {

constexpr int kMargin = 8, kBarWidth = 22, kBarSpace = 128, kLineHeight = 22, kTick = 4;
constexpr double kFontScale = 0.45;
const cv::Scalar kInk(235, 235, 235);   // on black
const std::array<std::pair<const char*, cv::Scalar>, 3> kOutlineInks{
    {{"blue", cv::Scalar(120, 220, 255)}, {"pink", cv::Scalar(255, 90, 160)}, {"orange", cv::Scalar(255, 170, 40)}}};

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

int text_width(const std::string& text) {
  int baseline = 0;
  return cv::getTextSize(text, cv::FONT_HERSHEY_SIMPLEX, kFontScale, 1, &baseline).width;
}

// Lines no wider than a picture, broken after commas; a piece that is wider stays whole.
std::vector<std::string> lines_of(const std::string& text, int width) {
  std::vector<std::string> lines;
  std::string line;
  for (std::size_t begin = 0; begin < text.size();) {
    const auto comma = text.find(", ", begin);
    const auto end = comma == std::string::npos ? text.size() : comma + 2;
    const auto piece = text.substr(begin, end - begin);
    if (!line.empty() && text_width(line + piece) > width) {
      lines.push_back(line);
      line.clear();
    }
    line += piece;
    begin = end;
  }
  if (!line.empty() || lines.empty()) lines.push_back(line);
  return lines;
}

// Black, as large as a picture and the caption below it.
struct Canvas {
  ImageU8 picture;
  int bottom;   // of the picture, where the caption begins
};
Canvas canvas_of(int width, int height, const std::string& caption) {
  const auto lines = lines_of(caption, width - 2 * kMargin);
  Canvas canvas{ImageU8(width, height + kLineHeight * static_cast<int>(lines.size()), 3), height};
  cv::Mat whole = view(canvas.picture);
  whole.setTo(cv::Scalar(0, 0, 0));
  for (std::size_t i = 0; i < lines.size(); ++i) write_text(whole, lines[i], {kMargin, height + 15 + kLineHeight * static_cast<int>(i)});
  return canvas;
}

double at_share(const HeatmapOptions& options, double share) {
  const auto [low, high] = options.range;
  return options.scale == ColourScale::kLogarithmic && low > 0 ? low * std::pow(high / low, share) : low + share * (high - low);
}

// A vertical bar with numbers at its ends and, where there is room, between them.
void draw_bar(cv::Mat picture, cv::Rect place, const HeatmapOptions& options) {
  const cv::Mat table = table_of(options.map);
  for (int y = 0; y < place.height; ++y) {
    const int entry = 255 - y * 255 / std::max(1, place.height - 1);
    picture.row(place.y + y).colRange(place.x, place.x + place.width).setTo(cv::Scalar(table.at<cv::Vec3b>(0, entry)));
  }
  const int steps = place.height >= 10 * kLineHeight ? 4 : place.height >= 3 * kLineHeight ? 2 : 1, right = place.x + place.width;
  for (int i = 0; i <= steps; ++i) {
    const int y = place.y + (place.height - 1) * (steps - i) / steps;
    cv::line(picture, {right, y}, {right + kTick, y}, kInk);
    write_text(picture, number(at_share(options, static_cast<double>(i) / steps)),
               {right + kTick + 4, std::clamp(y + 5, place.y + 10, place.y + place.height)});
  }
}

// The border of a set of cells, stretched over a picture: a line of ink within, one of black around it.
void draw_outline(cv::Mat picture, const ImageU8& inside, const cv::Scalar& ink) {
  ImageU8 cells = inside.clone();
  const cv::Mat small(static_cast<int>(cells.height()), static_cast<int>(cells.width()), CV_8UC1, cells.samples().data());
  cv::Mat mask, eroded, dilated;
  cv::resize(small != 0, mask, picture.size(), 0, 0, cv::INTER_NEAREST);
  cv::erode(mask, eroded, {}, {-1, -1}, 1, cv::BORDER_CONSTANT, cv::Scalar(255));
  cv::dilate(mask, dilated, {});
  picture.setTo(cv::Scalar(0, 0, 0), dilated & ~mask);
  picture.setTo(ink, mask & ~eroded);
}

// Turns the mask's (or its background's) connected parts of fewer than `smallest` cells into the other.
void turn_small(cv::Mat& mask, bool of_background, std::int64_t smallest) {
  cv::Mat labels, statistics, centres;
  const int count = cv::connectedComponentsWithStats(of_background ? cv::Mat(mask == 0) : mask, labels, statistics, centres, 4, CV_32S);
  std::vector<bool> small(static_cast<std::size_t>(count));
  for (int i = 1; i < count; ++i) small[static_cast<std::size_t>(i)] = statistics.at<int>(i, cv::CC_STAT_AREA) < smallest;
  for (int y = 0; y < mask.rows; ++y) {
    for (int x = 0; x < mask.cols; ++x) {
      if (small[static_cast<std::size_t>(labels.at<int>(y, x))]) mask.at<std::uint8_t>(y, x) = of_background ? 255 : 0;
    }
  }
}

std::string caption_of(const HeatmapOptions& options) {
  std::string text = options.caption;
  for (std::size_t i = 0; i < options.outlines.size() && i < kOutlineInks.size(); ++i) {
    text += std::string(", ") + kOutlineInks[i].first + ": " + options.outlines[i].name;
  }
  if (!options.unit.empty()) text += "  [" + options.unit + (options.scale == ColourScale::kLogarithmic ? ", logarithmic" : "") + "]";
  return text;
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

ColourScale parse_colour_scale(std::string_view name) {
  if (name == "linear") return ColourScale::kLinear;
  if (name == "log") return ColourScale::kLogarithmic;
  throw Error(ErrorKind::kUsage, "colour scale '" + std::string(name) + "', expected linear or log");
}

ImageU8 colour_values(const ImageF32& values, const ValueRange& range, ColourMap map, ColourScale scale) {
  require(values.channels() == 1, "colour_values: one channel");
  const bool logarithmic = scale == ColourScale::kLogarithmic;
  require(!logarithmic || range.low > 0, "colour_values: a logarithmic range lies above 0");
  const auto along = [&](double value) { return !logarithmic ? value : value > range.low ? std::log(value / range.low) : 0.0; };
  const cv::Mat table = table_of(map);
  ImageU8 colours(values.width(), values.height(), 3);
  const double low = along(range.low), extent = along(range.high) - low;
  std::uint8_t* out = colours.samples().data();
  for (const float value : values.samples()) {
    const double share = extent != 0 ? std::clamp((along(value) - low) / extent, 0.0, 1.0) : value > range.low ? 1.0 : 0.0;
    const auto colour = std::isnan(value) ? cv::Vec3b(0, 0, 0) : table.at<cv::Vec3b>(0, static_cast<int>(std::lround(share * 255)));
    for (int c = 0; c < 3; ++c) *out++ = colour[c];
  }
  return colours;
}

ImageU8 without_specks(const ImageU8& inside, std::int64_t smallest) {
  ImageU8 result = inside.clone();
  cv::Mat mask(static_cast<int>(result.height()), static_cast<int>(result.width()), CV_8UC1, result.samples().data());
  mask.setTo(255, mask != 0);
  turn_small(mask, /*of_background=*/false, smallest);
  turn_small(mask, /*of_background=*/true, smallest);
  return result;
}

ImageU8 draw_heatmap(const ImageU8& rgb, const ImageF32& values, const HeatmapOptions& options) {
  require(rgb.channels() == 3, "draw_heatmap: an RGB image");
  ImageU8 cells = colour_values(values, options.range, options.map, options.scale), base = rgb.clone();
  const cv::Size size(static_cast<int>(rgb.width()), static_cast<int>(rgb.height()));
  cv::Mat stretched;
  cv::resize(view(cells), stretched, size, 0, 0, cv::INTER_NEAREST);
  Canvas canvas = canvas_of(size.width + kBarSpace, std::max(size.height, 3 * kLineHeight), caption_of(options));
  cv::Mat whole = view(canvas.picture);
  cv::Mat place = whole(cv::Rect({0, 0}, size));
  cv::Mat grey;
  cv::cvtColor(view(base), grey, cv::COLOR_RGB2GRAY);
  cv::cvtColor(grey, grey, cv::COLOR_GRAY2RGB);
  cv::addWeighted(stretched, options.opacity, grey, 1 - options.opacity, 0, place);
  for (std::size_t i = std::min(options.outlines.size(), kOutlineInks.size()); i-- > 0;) {   // the first one on top
    draw_outline(place, options.outlines[i].inside, kOutlineInks[i].second);
  }
  if (!options.chosen.empty()) draw_outline(place, options.chosen, cv::Scalar(255, 255, 255));
  draw_marks(place, options.marks);
  draw_bar(whole, {size.width + kMargin, kMargin, kBarWidth, canvas.bottom - 2 * kMargin}, options);
  return std::move(canvas.picture);
}

ImageU8 draw_captioned(const ImageU8& rgb, const std::string& caption, const std::vector<Rect>& marks) {
  ImageU8 base = rgb.clone();
  const cv::Size size(static_cast<int>(rgb.width()), static_cast<int>(rgb.height()));
  Canvas canvas = canvas_of(size.width, size.height, caption);
  cv::Mat place = view(canvas.picture)(cv::Rect({0, 0}, size));
  view(base).copyTo(place);
  draw_marks(place, marks);
  return std::move(canvas.picture);
}

ImageU8 draw_wall(const std::vector<WallPanel>& panels, std::int64_t columns, std::int64_t panel_pixels, const HeatmapOptions& options) {
  require(!panels.empty() && columns > 0, "draw_wall: at least one panel");
  const auto& first = panels.front().values;
  const double scale = static_cast<double>(panel_pixels) / static_cast<double>(std::max(first.width(), first.height()));
  const auto scaled = [&](std::int64_t cells) { return static_cast<int>(std::lround(static_cast<double>(cells) * scale)); };
  const cv::Size size(std::max(1, scaled(first.width())), std::max(1, scaled(first.height())));
  const auto rows = (static_cast<std::int64_t>(panels.size()) + columns - 1) / columns;
  const int step_x = size.width + kMargin, step_y = size.height + kLineHeight;
  const int bottom = static_cast<int>(rows) * step_y;
  std::vector<Rect> marks;
  for (const auto& mark : options.marks) {
    marks.push_back({scaled(mark.x), scaled(mark.y), std::max(1, scaled(mark.width)), std::max(1, scaled(mark.height))});
  }
  Canvas canvas = canvas_of(static_cast<int>(columns) * step_x + kBarSpace, bottom, caption_of(options));
  cv::Mat whole = view(canvas.picture);
  for (std::size_t i = 0; i < panels.size(); ++i) {
    ImageU8 cells = colour_values(panels[i].values, options.range, options.map, options.scale);
    const int x = static_cast<int>(static_cast<std::int64_t>(i) % columns) * step_x,
              y = static_cast<int>(static_cast<std::int64_t>(i) / columns) * step_y;
    cv::Mat place = whole(cv::Rect(x, y + kLineHeight - 4, size.width, size.height));
    cv::resize(view(cells), place, size, 0, 0, cv::INTER_NEAREST);
    draw_marks(place, marks);
    write_text(whole, panels[i].label, {x + 2, y + 13});
  }
  draw_bar(whole, {static_cast<int>(columns) * step_x + kMargin, kLineHeight, kBarWidth, std::max(60, bottom - 2 * kLineHeight)}, options);
  return std::move(canvas.picture);
}

}  // namespace fovea
