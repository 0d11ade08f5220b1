#include <algorithm>
#include <filesystem>

#include "app/cli/attend_picture.h"
#include "app/cli/attend_question.h"
#include "app/cli/attend_region.h"
#include "app/cli/commands.h"
#include "app/cli/console.h"
#include "app/cli/run.h"
#include "app/cli/session.h"
#include "core/attention/analysis/probe_region.h"
#include "core/attention/analysis/query.h"
#include "core/base/files.h"
#include "core/base/model_folder.h"
#include "core/image/heatmap.h"
#include "core/image/pixel_size.h"
#include "core/image/writers.h"
#include "core/train/training_device.h"

namespace fovea::cli {
namespace {

using analysis::Answer;
using analysis::GridRect;

void refuse_to_overwrite(const std::string& image, const std::string& output) {
  std::error_code none;
  if (!output.empty() && std::filesystem::equivalent(image, output, none))
    throw Error(ErrorKind::kUsage, "fovea attend: '" + output + "' is the image itself: choose another output");
}

// Everything that the questions about one image share.
class Session {
 public:
  Session(const AttendRequest& request, const CommonOptions& common, const std::stop_token& stop)
      : request_(request), stop_(stop), console_(common.verbosity, {"layers", 1}), style_(style_of(request)) {}

  int run() {
    const auto questions = questions_of(request_);
    int halo = 1;
    for (const auto& question : questions) {
      check_question(question, request_.all_heads);
      for (const auto& path : {question.output, question.raw, question.json}) refuse_to_overwrite(request_.image, path);
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
        if (error.kind() == ErrorKind::kCancelled) throw;
        console_.error(request_.batch + ": line " + std::to_string(questions[i].line) + ": " + error.what());
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
    pixel_metres_ = pixel_size_metres(source->info());
    if (!pixel_metres_) pixel_metres_ = request_.pixel_size;
    region_ = plan_region(source->info(), encoder, {.region = request_.region, .halo_factor = halo, .halo = request_.halo,
                                                      .whole_globals = request_.region_globals == "image", .name = request_.image});
    const auto& pixels = region_.computed;
    const auto tokens = [&](std::int64_t extent) { return (extent + encoder.patch - 1) / encoder.patch; };
    analysis::require_fits(*model, encoder.global_tokens + tokens(pixels.width) * tokens(pixels.height), request_.image);
    rgb_ = source->read_rgb(pixels);
    place_ = {.left = pixels.x, .top = pixels.y, .width = pixels.width, .height = pixels.height, .asked = region_.asked,
              .patch = encoder.patch};
    if (request_.batch.empty()) analysis::check_query(to_query(request_.question, place_), model->config());   // before minutes of work
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
    query.pixel_metres = pixel_metres_;
    caveat_ = caveat_of(region_, query, probe_->model().config().encoder);
    if (!caveat_.empty() && caveat_ != region_.caveat) console_.line(request_.image + ": approximate: " + caveat_);
    if (request_.all_heads) return answer_wall(question, query);
    const auto result = analysis::answer(*probe_, query, console_, stop_);
    auto json = describe(question);
    json["numbers"] = result.numbers;
    json["unit"] = result.unit;
    const auto pixels = cut(pixels_of(result));
    const PictureSubject subject{.rgb = pixels, .patch = place_.patch, .caption = caption(question)};
    if (result.rgb.defined()) {
      if (!question.output.empty()) write_picture(question.output, draw_colours(result, subject, style_));
    } else {
      const auto range = range_of(style_, question.method, result);
      json["range"] = {range.values.low, range.values.high};
      json["range_from"] = range.from;
      json["colour_scale"] = request_.colour_scale;
      report_range(question, range, result);
      if (!question.output.empty()) write_picture(question.output, draw_answer(result, subject, style_, range.values));
      if (!question.raw.empty()) write_raw(question, result);
    }
    if (!question.json.empty()) write_file_atomically(question.json, json.dump(2) + "\n");
  }

  // The rectangle around the tokens asked about, in tokens of the answer.
  static std::vector<Rect> around(const torch::Tensor& asked) {
    if (!asked.defined() || !asked.any().item<bool>()) return {};
    const auto places = asked.nonzero();
    const auto low = std::get<0>(places.min(0)), high = std::get<0>(places.max(0));
    const auto at = [](const torch::Tensor& place, int axis) { return place[axis].item<std::int64_t>(); };
    return {{at(low, 1), at(low, 0), at(high, 1) - at(low, 1) + 1, at(high, 0) - at(low, 0) + 1}};
  }

  // Every layer and head in one picture, on one scale.
  void answer_wall(const AttendQuestion& question, analysis::Query query) {
    std::vector<WallPanel> panels;
    std::vector<torch::Tensor> planes;
    std::vector<Rect> marks;
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
        unit = result.unit, marks = around(result.asked);
      }
    }
    const auto range = range_of(style_, torch::stack(planes));
    json["range"] = {range.values.low, range.values.high};
    json["range_from"] = range.from;
    json["colour_scale"] = request_.colour_scale;
    if (!question.output.empty()) {
      const HeatmapOptions options{
          .range = range.values, .map = style_.map, .scale = style_.scale, .caption = caption(question), .unit = unit, .marks = marks};
      write_picture(question.output, draw_wall(panels, heads, std::max<std::int64_t>(32, request_.size / heads), options));
      console_.line(question.output + ": " + range.text());
    }
    if (!question.json.empty()) write_file_atomically(question.json, json.dump(2) + "\n");
  }

  void report_range(const AttendQuestion& question, const PictureRange& range, const Answer& result) {
    if (!question.output.empty()) console_.line(question.output + ": " + range.text() + ", " + result.unit);
    console_.detail(result.numbers.dump());
  }

  std::string caption(const AttendQuestion& question) const {
    return caption_of(question, request_.all_heads) + (caveat_.empty() ? "" : ", approximate: " + caveat_);
  }

  // Pixels of the image that an answer's tokens cover, within those read.
  Rect pixels_of(const Answer& result) const {
    const auto x = result.rect.x * place_.patch, y = result.rect.y * place_.patch;
    return {x, y, std::min(result.rect.width * place_.patch, rgb_.width() - x),
            std::min(result.rect.height * place_.patch, rgb_.height() - y)};
  }

  ImageU8 cut(const Rect& part) const {
    ImageU8 image(part.width, part.height, 3);
    for (std::int64_t y = 0; y < part.height; ++y) std::copy_n(rgb_.row(part.y + y) + 3 * part.x, 3 * part.width, image.row(y));
    return image;
  }

  void write_raw(const AttendQuestion& question, const Answer& result) const {
    const auto part = pixels_of(result);
    const auto x = static_cast<double>(place_.left + part.x), y = static_cast<double>(place_.top + part.y);
    const std::string description = question.method + " [" + result.unit + "]";
    if (request_.raw_pixels) {
      write_float_tiff(question.raw, spread_cells(to_image(result.plane), place_.patch, part, part.width, part.height),
                       scaled_georeference(georeference_, x, y, 1), description);
    } else {
      write_float_tiff(question.raw, to_image(result.plane), scaled_georeference(georeference_, x, y, static_cast<double>(place_.patch)),
                       description);
    }
  }

  nlohmann::json describe(const AttendQuestion& question) const {
    const auto rect = [](const Rect& r) { return nlohmann::json{{"x", r.x}, {"y", r.y}, {"width", r.width}, {"height", r.height}}; };
    const auto& config = probe_->model().config();
    const auto heuristics = analysis::heuristics_of(to_query(question, place_));
    return {{"format", "fovea-attend/1"}, {"image", request_.image}, {"question", to_json(question)}, {"region", rect(region_.asked)},
            {"computed", rect(region_.computed)}, {"exact", caveat_.empty()}, {"caveat", caveat_}, {"heuristics", heuristics},
            {"grid", {{"height", probe_->grid()[0]}, {"width", probe_->grid()[1]}, {"patch_pixels", config.encoder.patch}}},
            {"model", {{"name", config.name}, {"sha256", hash_}, {"precision", precision_name(precision_)}}}};
  }

  const AttendRequest& request_;
  const std::stop_token& stop_;
  Console console_;
  PictureStyle style_;
  std::optional<double> pixel_metres_;
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
