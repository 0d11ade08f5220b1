#include "app/cli/attend_picture.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <utility>

#include "core/image/writers.h"

namespace fovea::cli {
namespace {

// Below this a picture is drawn larger than the image, so that its caption has room.
constexpr double kSmallestSide = 640;

struct Size { std::int64_t width, height; };

Size picture_size(const ImageU8& rgb, const PictureStyle& style) {
  const auto longer = static_cast<double>(std::max(rgb.width(), rgb.height()));
  const double scale = std::min(static_cast<double>(style.size), std::max(longer, kSmallestSide)) / longer;
  const auto scaled = [&](std::int64_t pixels) {
    return std::max<std::int64_t>(1, std::lround(static_cast<double>(pixels) * scale));
  };
  return {scaled(rgb.width()), scaled(rgb.height())};
}

ImageU8 to_mask(const torch::Tensor& inside) {
  const auto bytes = inside.to(torch::kByte).contiguous();
  ImageU8 mask(bytes.size(1), bytes.size(0), 1);
  std::copy_n(bytes.const_data_ptr<std::uint8_t>(), bytes.numel(), mask.samples().data());
  return mask;
}

// The tokens asked about, each as the square it is.
std::vector<Outline> outlines_of(const analysis::Answer& answer, const PictureSubject& subject, const Size& size) {
  const Rect pixels{0, 0, subject.rgb.width(), subject.rgb.height()};
  std::vector<Outline> outlines;
  for (const auto& outline : answer.outlines) {
    const auto mask = without_specks(to_mask(outline.inside), outline.smallest);
    std::string name = outline.name;
    if (outline.smallest > 1) name.append(" (parts of ").append(std::to_string(outline.smallest)).append(" tokens and more)");
    outlines.push_back({spread_cells(mask, subject.patch, pixels, size.width, size.height), std::move(name)});
  }
  return outlines;
}

std::string joined(const std::string& caption, const std::string& note) { return note.empty() ? caption : caption + ", " + note; }

std::string place_of(const AttendQuestion& question) {
  const auto text = [](std::int64_t number) { return std::to_string(number); };
  if (question.global) return " global token " + text(*question.global);
  if (question.box) {
    const auto& [x, y, width, height] = *question.box;
    return " box " + text(x) + "," + text(y) + " " + text(width) + "x" + text(height);
  }
  if (!question.brush.empty()) {
    return " brush " + text(question.brush.front()[0]) + "," + text(question.brush.front()[1]) + " to " +
           text(question.brush.back()[0]) + "," + text(question.brush.back()[1]);
  }
  if (!question.at) return "";
  std::string place = " at " + text((*question.at)[0]) + "," + text((*question.at)[1]);
  if (question.disc) place += " disc " + text(std::lround(*question.disc));
  return place;
}

std::string heads_text(const AttendQuestion& question) {
  if (question.head == "mean") return "mean of heads";
  if (question.head == "max") return "maximum of heads";
  if (question.head == "min") return "minimum of heads";
  return "head " + question.head;
}

}  // namespace

ImageF32 to_image(const torch::Tensor& plane) {
  const auto values = plane.to(torch::kFloat).contiguous();
  ImageF32 image(values.size(1), values.size(0), 1);
  std::copy_n(values.const_data_ptr<float>(), values.numel(), image.samples().data());
  return image;
}

PictureStyle style_of(const AttendRequest& request) {
  PictureStyle style{.map = parse_colour_map(request.colours), .scale = parse_colour_scale(request.colour_scale), .clip = request.clip,
                     .range = request.range, .opacity = request.opacity, .size = request.size};
  if (!style.range) return style;
  const auto& [low, high] = *style.range;
  if (!(low < high) || !std::isfinite(low) || !std::isfinite(high))
    throw Error(ErrorKind::kUsage, "fovea attend: --range LOW,HIGH: LOW must lie below HIGH");
  if (style.scale == ColourScale::kLogarithmic && low <= 0)
    throw Error(ErrorKind::kUsage, "fovea attend: --scale log needs a --range above 0");
  return style;
}

PictureRange range_of(const PictureStyle& style, const torch::Tensor& plane) {
  if (style.range) return {{(*style.range)[0], (*style.range)[1]}, "fixed"};
  // A row of a large image is zero nearly everywhere: percentiles are those of the tokens that it touches.
  const bool logarithmic = style.scale == ColourScale::kLogarithmic;
  const auto touched = plane.masked_select(logarithmic ? plane > 0 : plane != 0);
  const auto values = touched.numel() > 0 || logarithmic ? touched : plane.contiguous();
  const auto range =
      percentile_range({values.const_data_ptr<float>(), static_cast<std::size_t>(values.numel())}, 100 - style.clip, style.clip);
  return {logarithmic && range.low <= 0 ? ValueRange{1e-9, 1} : range, "percentile " + nlohmann::json(style.clip).dump()};
}

PictureRange range_of(const PictureStyle& style, const std::string& method, const analysis::Answer& answer) {
  if (method == "field" && !style.range && style.scale == ColourScale::kLinear) return {{1, 0}, "bounds"};
  return range_of(style, answer.plane);
}

std::string PictureRange::text() const {
  char text[96];
  std::snprintf(text, sizeof text, "colours from %.4g to %.4g (%s)", values.low, values.high, from.c_str());
  return text;
}

std::string caption_of(const AttendQuestion& question, bool all_heads) {
  const auto settings = to_json(question);
  const auto& info = analysis::method_info(analysis::parse_method(question.method));
  std::string text = question.method + (info.needs_tokens ? place_of(question) : "");
  if (info.of_one_layer && !all_heads) text += ", " + (question.layer < 0 ? "last layer" : "layer " + std::to_string(question.layer));
  if (info.by_head) text += ", " + (all_heads ? "all layers and heads" : heads_text(question));
  if (settings.contains("share")) text += ", attention weighs " + nlohmann::json(question.share).dump();
  if (settings.contains("paths") && question.paths == "local") text += ", paths through no global token";
  if (settings.contains("window")) text += ", window " + std::to_string(question.window);
  if (settings.contains("dilation") && question.dilation > 1) text += " dilation " + std::to_string(question.dilation);
  if (settings.contains("globals")) text += ", " + std::to_string(*question.globals) + " global tokens";
  if (settings.contains("dense_layers")) text += ", dense layers " + settings["dense_layers"].dump();
  return text;
}

void write_picture(const std::string& path, const ImageU8& picture) {
  const auto extension = std::filesystem::path(path).extension().string();
  if (extension == ".png" || extension == ".PNG") return write_png(path, picture);
  write_jpeg(path, picture);
}

ImageU8 draw_answer(const analysis::Answer& answer, const PictureSubject& subject, const PictureStyle& style, const ValueRange& range) {
  const auto size = picture_size(subject.rgb, style);
  HeatmapOptions options{.range = range,
                         .map = style.map,
                         .scale = style.scale,
                         .opacity = static_cast<float>(style.opacity),
                         .caption = joined(subject.caption, answer.note),
                         .unit = answer.unit,
                         .outlines = outlines_of(answer, subject, size)};
  const Rect pixels{0, 0, subject.rgb.width(), subject.rgb.height()};
  if (answer.asked.defined()) options.chosen = spread_cells(to_mask(answer.asked), subject.patch, pixels, size.width, size.height);
  return draw_heatmap(resize(subject.rgb, size.width, size.height),
                      spread_cells(to_image(answer.plane), subject.patch, pixels, size.width, size.height), options);
}

ImageU8 draw_colours(const analysis::Answer& answer, const PictureSubject& subject, const PictureStyle& style) {
  const auto size = picture_size(subject.rgb, style);
  ImageU8 cells(answer.rgb.size(1), answer.rgb.size(0), 3);
  std::copy_n(answer.rgb.const_data_ptr<std::uint8_t>(), answer.rgb.numel(), cells.samples().data());
  const Rect pixels{0, 0, subject.rgb.width(), subject.rgb.height()};
  return draw_captioned(spread_cells(cells, subject.patch, pixels, size.width, size.height), joined(subject.caption, answer.note), {});
}

}  // namespace fovea::cli
