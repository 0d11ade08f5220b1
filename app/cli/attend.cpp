#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>

#include "app/cli/attend_question.h"
#include "app/cli/attend_region.h"
#include "app/cli/commands.h"
#include "app/cli/console.h"
#include "app/cli/run.h"
#include "app/cli/session.h"
#include "core/attention/analysis/query.h"
#include "core/base/files.h"
#include "core/base/model_folder.h"
#include "core/image/heatmap.h"
#include "core/image/writers.h"
#include "core/train/training_device.h"

namespace fovea::cli {
namespace {

using analysis::Answer;
using analysis::GridRect;

ImageF32 to_image(const torch::Tensor& plane) {
  const auto values = plane.to(torch::kFloat).contiguous();
  ImageF32 image(values.size(1), values.size(0), 1);
  std::copy_n(values.const_data_ptr<float>(), values.numel(), image.samples().data());
  return image;
}

void write_picture(const std::string& path, const ImageU8& picture) {
  auto extension = std::filesystem::path(path).extension().string();
  if (extension == ".png" || extension == ".PNG") return write_png(path, picture);
  write_jpeg(path, picture);
}

// Every cell `step` pixels wide, cut to width x height.
template <class Sample>
BasicImage<Sample> repeat_cells(const BasicImage<Sample>& cells, std::int64_t step, std::int64_t width, std::int64_t height) {
  BasicImage<Sample> image(width, height, cells.channels());
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t x = 0; x < width; ++x) {
      std::copy_n(cells.row(y / step) + x / step * cells.channels(), cells.channels(), image.row(y) + x * cells.channels());
    }
  }
  return image;
}

// Everything that the questions about one image share.
class Session {
 public:
  Session(const AttendRequest& request, const CommonOptions& common, const std::stop_token& stop)
      : request_(request), stop_(stop), console_(common.verbosity, {"layers", 1}) {}

  int run() {
    const auto questions = questions_of(request_);
    int halo = 1;
    for (const auto& question : questions) {
      check_question(question, request_.all_heads);
      halo = std::max(halo, analysis::method_info(analysis::parse_method(question.method)).halo);
    }
    open(halo);
    if (request_.batch.empty()) {
      answer(questions.front());
      return kExitDone;
    }
    std::size_t failed = 0;
    for (std::size_t i = 0; i < questions.size(); ++i) {
      try {
        answer(questions[i]);
      } catch (const Error& error) {
        if (error.kind() != ErrorKind::kUsage) throw;
        console_.error(request_.batch + ": question " + std::to_string(i + 1) + ": " + error.what());
        ++failed;
      }
    }
    return failed == 0 ? kExitDone : kExitSomeFailed;
  }

 private:
  void open(int halo) {
    const auto source = open_image(request_.image);
    const auto folder = find_model(request_.model.model);
    const auto device = choose_device(request_.model.device);
    precision_ = choose_precision(request_.model.precision, device);
    const auto model = load_model(folder, device, precision_);
    hash_ = model_hash(folder);
    const auto& encoder = model->config().encoder;
    georeference_ = source->info().georeference;
    region_ = plan_region(source->info(), encoder, {.region = request_.region, .halo_factor = halo,
                                                      .whole_globals = request_.region_globals == "image", .name = request_.image});
    const auto& pixels = region_.computed;
    const auto tokens = [&](std::int64_t extent) { return (extent + encoder.patch - 1) / encoder.patch; };
    analysis::require_fits(*model, encoder.global_tokens + tokens(pixels.width) * tokens(pixels.height), request_.image);
    rgb_ = source->read_rgb(pixels);
    place_ = {.left = pixels.x, .top = pixels.y, .width = pixels.width, .height = pixels.height, .asked = region_.asked,
              .patch = encoder.patch};
    console_.begin(request_.image);
    analysis::ProbeRegion part{.rgb = to_tensor(rgb_), .name = request_.image, .row = pixels.y / encoder.patch,
                               .column = pixels.x / encoder.patch};
    if (region_.global_pass) {
      const auto& info = source->info();
      const auto read = [&](std::int64_t y, std::int64_t rows) { return to_tensor(source->read_rgb({0, y, info.width, rows})); };
      part.globals = std::make_shared<const analysis::GlobalStates>(
          analysis::global_states(*model, {.height = info.height, .width = info.width, .read = read}, console_, stop_));
    }
    probe_ = std::make_unique<analysis::AttentionProbe>(model, part, console_, stop_);
    const auto grid = probe_->grid();
    console_.line(request_.image + ": " + std::to_string(grid[1]) + " x " + std::to_string(grid[0]) + " tokens, " +
                  std::to_string(encoder.global_tokens) + " global, " + std::to_string(encoder.depth) + " layers of " +
                  std::to_string(encoder.heads) + " heads");
    if (!region_.caveat.empty()) console_.line(request_.image + ": approximate: " + region_.caveat);
  }

  void answer(const AttendQuestion& question) {
    auto query = to_query(question, place_);
    caveat_ = caveat_of(region_, query, probe_->model().config().encoder);
    if (!caveat_.empty() && caveat_ != region_.caveat) console_.line(request_.image + ": approximate: " + caveat_);
    if (request_.all_heads) return answer_wall(question, query);
    const auto result = analysis::answer(*probe_, query, console_, stop_);
    auto json = describe(question);
    json["numbers"] = result.numbers;
    if (result.rgb.defined()) {
      draw_colours(question, result);
    } else {
      const auto range = range_of(result.plane);
      json["range"] = {range.low, range.high};
      json["unit"] = result.unit;
      report_range(question, range, result);
      if (!question.output.empty()) draw(question, result, range);
      if (!question.raw.empty()) write_raw(question, result);
    }
    if (!question.json.empty()) write_file_atomically(question.json, json.dump(2) + "\n");
  }

  // Every layer and head in one picture, on one scale.
  void answer_wall(const AttendQuestion& question, analysis::Query query) {
    std::vector<WallPanel> panels;
    std::vector<torch::Tensor> planes;
    auto json = describe(question);
    std::string unit;
    const auto heads = probe_->layer(0).heads();
    for (std::int64_t layer = 0; layer < probe_->depth(); ++layer) {
      for (std::int64_t head = 0; head < heads; ++head) {
        query.layer = layer, query.heads = {analysis::HeadFusion::kOne, head};
        const auto result = analysis::answer(*probe_, query, console_, stop_);
        planes.push_back(result.plane);
        panels.push_back({to_image(result.plane), "L" + std::to_string(layer) + " H" + std::to_string(head)});
        json["numbers"].push_back({{"layer", layer}, {"head", head}, {"numbers", result.numbers}});
        unit = result.unit;
      }
    }
    const auto range = range_of(torch::stack(planes));
    json["range"] = {range.low, range.high};
    if (!question.output.empty()) {
      const HeatmapOptions options{
          .range = range, .map = parse_colour_map(request_.colours), .caption = caption(question) + ", all heads", .unit = unit};
      write_picture(question.output, draw_wall(panels, heads, std::max<std::int64_t>(32, request_.size / heads), options));
      console_.line(question.output + ": " + range_text(range));
    }
    if (!question.json.empty()) write_file_atomically(question.json, json.dump(2) + "\n");
  }

  ValueRange range_of(const torch::Tensor& plane) const {
    if (request_.range) return {(*request_.range)[0], (*request_.range)[1]};
    // A row of a large image is zero nearly everywhere: percentiles are those of the tokens that it touches.
    const auto touched = plane.masked_select(plane != 0);
    const auto values = touched.numel() > 0 ? touched : plane.contiguous();
    return percentile_range({values.const_data_ptr<float>(), static_cast<std::size_t>(values.numel())}, 100 - request_.clip, request_.clip);
  }

  std::string range_text(const ValueRange& range) const {
    char text[96];
    std::snprintf(text, sizeof text, "colours from %.4g to %.4g (%s)", range.low, range.high,
                  request_.range ? "fixed" : ("percentile " + nlohmann::json(request_.clip).dump()).c_str());
    return text;
  }

  void report_range(const AttendQuestion& question, const ValueRange& range, const Answer& result) {
    if (!question.output.empty()) console_.line(question.output + ": " + range_text(range) + ", " + result.unit);
    console_.detail(result.numbers.dump());
  }

  std::string caption(const AttendQuestion& question) const {
    std::string text = question.method;
    const bool one_layer = question.method != "pattern" && !request_.all_heads;
    if (one_layer) text += ", " + (question.layer < 0 ? "last layer" : "layer " + std::to_string(question.layer));
    if (analysis::method_info(analysis::parse_method(question.method)).by_head && !request_.all_heads) text += ", head " + question.head;
    const auto settings = to_json(question);
    if (settings.contains("window"))
      text +=
          ", window " + std::to_string(question.window) + (question.dilation > 1 ? " dilation " + std::to_string(question.dilation) : "");
    return text + (caveat_.empty() ? "" : ", approximate");
  }

  // Pixels of the image that an answer's tokens cover, within those read.
  Rect pixels_of(const Answer& result) const {
    const auto x = result.rect.x * place_.patch, y = result.rect.y * place_.patch;
    return {x, y, std::min(result.rect.width * place_.patch, rgb_.width() - x),
            std::min(result.rect.height * place_.patch, rgb_.height() - y)};
  }

  // The answer's part of the image as large as the picture shall be, and the places asked about in it.
  ImageU8 background(const AttendQuestion& question, const Rect& part, std::vector<Rect>& marks) const {
    const double longer = static_cast<double>(std::max(part.width, part.height));
    const double scale = std::min(static_cast<double>(request_.size), std::max(longer, 640.0)) / longer;
    const auto scaled = [&](std::int64_t pixels) { return static_cast<std::int64_t>(std::lround(static_cast<double>(pixels) * scale)); };
    for (const auto& [x, y, width, height] : asked_pixels(question)) {
      marks.push_back({scaled(x - place_.left - part.x), scaled(y - place_.top - part.y), std::max<std::int64_t>(3, scaled(width)),
                       std::max<std::int64_t>(3, scaled(height))});
    }
    ImageU8 cut(part.width, part.height, 3);
    for (std::int64_t y = 0; y < part.height; ++y) std::copy_n(rgb_.row(part.y + y) + 3 * part.x, 3 * part.width, cut.row(y));
    return resize(cut, std::max<std::int64_t>(1, scaled(part.width)), std::max<std::int64_t>(1, scaled(part.height)));
  }

  // Cells at the image's right and bottom edge may stick out of it: values are cut to pixels before they are laid over.
  void draw(const AttendQuestion& question, const Answer& result, const ValueRange& range) const {
    HeatmapOptions options{.range = range, .map = parse_colour_map(request_.colours), .caption = caption(question), .unit = result.unit};
    const auto part = pixels_of(result);
    const auto base = background(question, part, options.marks);
    write_picture(question.output,
                  draw_heatmap(base, repeat_cells(to_image(result.plane), place_.patch, part.width, part.height), options));
  }

  void draw_colours(const AttendQuestion& question, const Answer& result) const {
    if (question.output.empty()) return;
    ImageU8 cells(result.rgb.size(1), result.rgb.size(0), 3);
    std::copy_n(result.rgb.const_data_ptr<std::uint8_t>(), result.rgb.numel(), cells.samples().data());
    std::vector<Rect> marks;
    const auto part = pixels_of(result);
    const auto base = background(question, part, marks);
    write_picture(question.output,
                  draw_captioned(resize(repeat_cells(cells, place_.patch, part.width, part.height), base.width(), base.height()),
                                 caption(question), marks));
  }

  void write_raw(const AttendQuestion& question, const Answer& result) const {
    const auto part = pixels_of(result);
    const auto x = static_cast<double>(place_.left + part.x), y = static_cast<double>(place_.top + part.y);
    const std::string description = question.method + " [" + result.unit + "]";
    if (request_.raw_pixels) {
      write_float_tiff(question.raw, repeat_cells(to_image(result.plane), place_.patch, part.width, part.height),
                       scaled_georeference(georeference_, x, y, 1), description);
    } else {
      write_float_tiff(question.raw, to_image(result.plane), scaled_georeference(georeference_, x, y, static_cast<double>(place_.patch)),
                       description);
    }
  }

  nlohmann::json describe(const AttendQuestion& question) const {
    const auto rect = [](const Rect& r) { return nlohmann::json{{"x", r.x}, {"y", r.y}, {"width", r.width}, {"height", r.height}}; };
    const auto& config = probe_->model().config();
    return {{"format", "fovea-attend/1"}, {"image", request_.image}, {"question", to_json(question)}, {"region", rect(region_.asked)},
            {"computed", rect(region_.computed)}, {"exact", caveat_.empty()}, {"caveat", caveat_},
            {"grid", {{"height", probe_->grid()[0]}, {"width", probe_->grid()[1]}, {"patch_pixels", config.encoder.patch}}},
            {"model", {{"name", config.name}, {"sha256", hash_}, {"precision", precision_name(precision_)}}}};
  }

  const AttendRequest& request_;
  const std::stop_token& stop_;
  Console console_;
  torch::Dtype precision_ = torch::kFloat32;
  std::string hash_;
  GeoReference georeference_;
  AttendRegion region_;
  std::string caveat_;   // of the question at hand
  ProbePlace place_;
  ImageU8 rgb_;
  std::unique_ptr<analysis::AttentionProbe> probe_;
};

}  // namespace

int run_attend(const AttendRequest& request, const CommonOptions& common, const std::stop_token& stop) {
  return Session(request, common, stop).run();
}

}  // namespace fovea::cli
