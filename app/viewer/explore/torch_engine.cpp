#include "app/viewer/explore/torch_engine.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <map>
#include <mutex>

#include "app/viewer/explore/region.h"
#include "core/attention/analysis/global_rows.h"
#include "core/attention/analysis/kept_mass.h"
#include "core/attention/analysis/probe_region.h"
#include "core/attention/analysis/rows.h"
#include "core/base/clock.h"
#include "core/base/host_memory.h"
#include "core/base/model_folder.h"
#include "core/image/image_source.h"
#include "core/model/precision.h"
#include "core/train/training_device.h"

namespace fovea::explore {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::int64_t kRolloutShare = 3;      // of the memory that is free: one part of so many may be kept for rollouts
constexpr std::int64_t kRowsARead = 1024;      // of pixels, between two looks whether anybody still waits

// read_rgb() in parts, so that a stop need not wait for all of it.
ImageU8 read_rgb(ImageSource& source, const Rect& rect, Progress& progress, const std::stop_token& stop) {
  ImageU8 all(rect.width, rect.height, 3);
  for (std::int64_t y = 0; y < rect.height; y += kRowsARead) {
    throw_if_stopped(stop);
    progress.report("read", y, rect.height);
    const ImageU8 part = source.read_rgb({rect.x, rect.y + y, rect.width, std::min(kRowsARead, rect.height - y)});
    std::ranges::copy(part.samples(), all.row(y));
  }
  return all;
}

std::atomic<bool> device_lost = false;   // of this process: CUDA does not come back in it

torch::Device device_for(const std::string& name) {
  if (!device_lost || name == "cpu") return choose_device(name);
  if (name != "auto")
    throw Error(ErrorKind::kEnvironment, name + ": does not answer any more; start the program again to use it, or let the CPU do it");
  return torch::kCPU;
}

// Models that some engine of this process still uses: the explorer's and the segmenter's are one.
// hash: of its folder, because that may be written anew while the viewer runs.
std::shared_ptr<SegmentationModel> shared_model(const std::filesystem::path& folder, const std::string& hash, const torch::Device& device,
                                                torch::Dtype dtype) {
  static std::mutex mutex;
  static std::map<std::string, std::weak_ptr<SegmentationModel>> models;
  const std::string key = hash + device.str() + c10::toString(dtype);
  const std::lock_guard lock(mutex);
  if (auto known = models[key].lock()) return known;
  auto model = load_model(folder, device, dtype);
  models[key] = model;
  return model;
}

std::shared_ptr<const ModelSummary> summarise(const SegmentationModel& model, const std::string& name, const std::string& hash) {
  const EncoderConfig& encoder = model.config().encoder;
  const auto halo = analysis::halo_tokens(encoder);
  return std::make_shared<ModelSummary>(ModelSummary{
      .name_or_path = name, .config = model.config(), .hash = hash, .device = model.device().str(),
      .precision = precision_name(model.dtype()), .halo_rows = halo[0], .halo_columns = halo[1],
      .region_caveat = analysis::region_caveat(encoder), .bytes_per_token = analysis::probe_bytes(encoder, 1, model.dtype())});
}

torch::Tensor to_tensor(const ImageU8& rgb) {
  const auto view =
      torch::from_blob(const_cast<std::uint8_t*>(rgb.samples().data()), {rgb.height(), rgb.width(), 3}, torch::kUInt8);  // only read
  return view.permute({2, 0, 1}).contiguous();
}

analysis::HeadChoice to_heads(const HeadSelection& heads) {
  constexpr std::array kFusions{analysis::HeadFusion::kMean, analysis::HeadFusion::kMax, analysis::HeadFusion::kMin,
                                analysis::HeadFusion::kOne};
  return {kFusions.at(static_cast<std::size_t>(heads.fusion)), heads.head};
}

analysis::GridRect to_rect(const TokenBox& box) { return {box.row, box.column, box.rows, box.columns}; }

ImageF32 to_image(const torch::Tensor& plane) {
  const auto values = plane.to(torch::kFloat).contiguous();
  ImageF32 image(values.size(1), values.size(0), 1);
  std::copy_n(values.const_data_ptr<float>(), values.numel(), image.samples().data());
  return image;
}

std::vector<double> list(const nlohmann::json& numbers, const char* key) {
  return numbers.contains(key) && !numbers[key].is_null() ? numbers[key].get<std::vector<double>>() : std::vector<double>{};
}

// The answer's numbers where the window can use them without knowing JSON.
void read_numbers(Reply& reply) {
  const nlohmann::json& numbers = reply.numbers;
  reply.grid_total = numbers.value("grid_total", 0.0);
  reply.global_total = numbers.value("global_total", 0.0);
  reply.globals = list(numbers, "globals");
  const auto field = numbers.value("field", nlohmann::json::object());
  for (const auto& contour : field.value("contours", nlohmann::json::array())) {
    reply.contours.push_back({.share = contour["share"], .threshold = contour["threshold"], .radius_pixels = contour["radius_pixels"],
                              .tokens = contour["tokens"]});
  }
  reply.entropy_by_head = list(numbers, "entropy_by_head");
  reply.distance_by_head_pixels = list(numbers, "distance_pixels_by_head");
  reply.global_mass_by_head = list(numbers, "global_mass_by_head");
  if (reply.question.method == "norms") reply.outlier_threshold = numbers.at("threshold").get<double>();
}

// The tokens that a map touched; a row of a large image is a small part of it.
TokenBox support_of(const nlohmann::json& numbers, const TokenBox& everywhere) {
  const auto found = numbers.find("support");
  if (found == numbers.end()) return everywhere;
  const TokenBox support{(*found)["y"], (*found)["x"], (*found)["height"], (*found)["width"]};
  return support.rows < 1 || support.columns < 1 ? everywhere : support;
}

Reply to_reply(const Question& question, const TokenBox& place, const analysis::Answer& answer) {
  Reply reply{.question = question,
              .place = place,
              .plane = {},
              .colours = {},
              .unit = answer.unit,
              .globals = {},
              .contours = {},
              .entropy_by_head = {},
              .distance_by_head_pixels = {},
              .global_mass_by_head = {},
              .outlier_threshold = {},
              .numbers = answer.numbers};
  if (answer.rgb.defined()) {
    const auto rgb = answer.rgb.cpu().contiguous();
    reply.colours = ImageU8(rgb.size(1), rgb.size(0), 3);
    std::copy_n(rgb.const_data_ptr<std::uint8_t>(), rgb.numel(), reply.colours.samples().data());
  } else {
    reply.place = support_of(answer.numbers, place);
    const TokenBox inside{reply.place.row - place.row, reply.place.column - place.column, reply.place.rows, reply.place.columns};
    reply.plane = to_image(answer.plane.narrow(0, inside.row, inside.rows).narrow(1, inside.column, inside.columns));
  }
  read_numbers(reply);
  return reply;
}

}  // namespace

analysis::Query to_query(const Question& question) {
  analysis::Query query{.method = analysis::parse_method(question.method), .layer = question.layer, .heads = to_heads(question.heads),
                        .attention_share = question.attention_share};
  if (question.window) query.window = *question.window;
  if (question.tokens.box) query.tokens.box = to_rect(*question.tokens.box);
  for (const BrushToken& token : question.tokens.brush) query.tokens.brush.push_back({token.row, token.column, token.weight});
  query.tokens.global_token = question.tokens.global_token;
  return query;
}

TorchEngine::TorchEngine(std::shared_ptr<SegmentationModel> model) { adopt(std::move(model), "given", "auto", ""); }

void TorchEngine::adopt(std::shared_ptr<SegmentationModel> model, const std::string& name, const std::string& device,
                        const std::string& hash) {
  model_ = std::move(model);
  summary_ = summarise(*model_, name, hash);
  device_name_ = device;
}

// Nothing that lives on a lost GPU can be used or even freed without another error.
void TorchEngine::abandon_device() {
  device_lost = true;
  static auto* graves = new std::vector<std::shared_ptr<void>>;
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  graves->push_back(std::shared_ptr<void>(std::move(probe_)));
  graves->push_back(std::exchange(model_, nullptr));
  summary_.reset();
}

std::shared_ptr<const ModelSummary> TorchEngine::load_or_find(const std::string& model, const std::string& device) {
  if (device_lost && summary_ && summary_->device != "cpu") abandon_device();   // another engine of this process has seen it
  if (summary_ && summary_->name_or_path == model && device_name_ == device) return summary_;
  const auto chosen = device_for(device);
  const auto folder = find_model(model);
  const std::string hash = model_hash(folder);
  auto loaded = shared_model(folder, hash, chosen, usual_precision(chosen));
  probe_.reset();
  adopt(std::move(loaded), model, device, hash);
  return summary_;
}

// As analysis::require_fits(), in the words of somebody who looks at a part of an image.
void TorchEngine::require_fits(const RegionPlan& plan, const std::string& name) {
  if (!model_->device().is_cpu()) return;   // a GPU says itself what it cannot hold
  const EncoderConfig& encoder = model_->config().encoder;
  const auto needed = analysis::probe_bytes(encoder, encoder.global_tokens + plan.tokens(), model_->dtype());
  const auto free = available_host_memory();
  if (needed <= free) return;
  fitting_side_ = analysis::largest_side_that_fits(encoder, free, model_->dtype());
  char text[200];
  std::snprintf(text, sizeof text, "to encode %" PRId64 " × %" PRId64 " pixels takes %.1f GB of memory, and %.1f GB are free; zoom in: %" PRId64
                " × %" PRId64 " would fit", plan.computed.width, plan.computed.height, static_cast<double>(needed) / 1e9,
                static_cast<double>(free) / 1e9, fitting_side_, fitting_side_);
  throw Error(ErrorKind::kEnvironment, name + ": " + text);
}

Encoded TorchEngine::encode_region(const EncodeRequest& request, Progress& progress, const std::stop_token& stop) {
  const auto start = Clock::now();
  probe_.reset();   // first, so that its memory is free for the next one
  fitting_side_ = 0;
  progress.report("model", 0, 1);
  load_or_find(request.model, request.device);
  throw_if_stopped(stop);
  const std::string name = request.image.filename().string();
  const auto source = open_image(request.image);
  const RegionPlan plan = plan_encoding(request, *summary_, source->info().width, source->info().height);
  const EncoderConfig& encoder = model_->config().encoder;
  require_fits(plan, name);
  const ImageU8 rgb = read_rgb(*source, plan.computed, progress, stop);
  throw_if_stopped(stop);
  // All that questions need is made now, so that the first click need not wait for it.
  const analysis::ProbeRegion region{.rgb = to_tensor(rgb), .name = name, .projections = analysis::Projections::kAtOnce};
  auto probe = std::make_unique<analysis::AttentionProbe>(model_, region, progress, stop);
  rollout_budget_bytes_ = available_host_memory() / kRolloutShare;
  probe->rollouts().keep_first({.layers = probe->stack(), .budget_bytes = rollout_budget_bytes_, .progress = progress, .stop = stop});
  probe_ = std::move(probe);
  asked_ = plan.asked_tokens;
  return {.request = request, .model = summary_, .asked = plan.asked, .computed = plan.computed, .asked_tokens = plan.asked_tokens,
          .rows = plan.rows, .columns = plan.columns, .whole_image = plan.whole_image,
          .caveat = plan.whole_image ? "" : summary_->region_caveat, .seconds = seconds_since(start),
          .bytes = summary_->bytes_per_token * (encoder.global_tokens + plan.tokens()) + probe_->rollouts().bytes()};
}

// The same queries and keys under another window: what this token's row would be made of.
analysis::Answer TorchEngine::row_with_window(const Question& question, const analysis::Query& query) {
  auto layer = probe_->layer(query.layer < 0 ? probe_->depth() - 1 : query.layer);
  const auto globals = layer.global_tokens();
  if (*question.window == 0) {
    layer.pattern = analysis::dense_pattern(probe_->grid(), globals);
  } else {
    layer.pattern = {.grid = probe_->grid(), .global_tokens = globals, .window = {*question.window, *question.window}, .dilation = {1}};
  }
  if (!query.tokens.box) throw Error(ErrorKind::kUsage, "windows are compared for a token or a box: pick one");
  const auto map = analysis::row(layer, analysis::box_map(layer, *query.tokens.box), query.heads);
  analysis::Answer answer{.plane = map.dense().cpu(), .unit = "share of attention"};
  const auto& support = map.support;
  const auto on_globals = map.globals.cpu().to(torch::kDouble).contiguous();
  answer.numbers = {{"grid_total", map.grid_total()}, {"global_total", map.global_total()},
                    {"support", {{"y", support.y}, {"x", support.x}, {"height", support.height}, {"width", support.width}}},
                    {"globals", std::vector<double>(on_globals.data_ptr<double>(), on_globals.data_ptr<double>() + on_globals.numel())}};
  return answer;
}

// Kept mass compares with dense attention, which is quadratic: among the tokens near the chosen ones (or the middle of the region), so
// that it takes well under a second anywhere.
Reply TorchEngine::kept_mass_around(const Question& question) {
  constexpr std::int64_t kSide = 48;   // tokens
  const auto query = to_query(question);
  const auto& whole = probe_->layer(query.layer < 0 ? probe_->depth() - 1 : query.layer);
  const auto [rows, columns] = probe_->grid();
  const TokenBox around = question.tokens.box.value_or(TokenBox{rows / 2, columns / 2, 1, 1});
  TokenBox place{0, 0, std::min(kSide, rows), std::min(kSide, columns)};
  place.row = std::clamp<std::int64_t>(around.row + around.rows / 2 - kSide / 2, 0, rows - place.rows);
  place.column = std::clamp<std::int64_t>(around.column + around.columns / 2 - kSide / 2, 0, columns - place.columns);
  const auto globals = whole.global_tokens();
  const auto cut = [&, r = rows, c = columns](const torch::Tensor& all) {
    const auto grid =
        all.narrow(0, globals, r * c).unflatten(0, {r, c}).narrow(0, place.row, place.rows).narrow(1, place.column, place.columns);
    return torch::cat({all.narrow(0, 0, globals), grid.flatten(0, 1)});
  };
  const analysis::AttentionLayer near{.query = cut(whole.query), .key = cut(whole.key),
                                      .pattern = analysis::dense_pattern({place.rows, place.columns}, globals)};
  const auto kept = analysis::kept_mass(near);
  const auto mass = kept.at((query.window - 1) / 2, globals);
  analysis::Answer answer{.plane = analysis::fuse_heads(mass, query.heads, 0).cpu(), .unit = "share of dense attention"};
  const auto mean = kept.curve().mean(0).cpu().contiguous();
  answer.numbers = {{"window", query.window},
                    {"kept_by_radius_mean", std::vector<double>(mean.data_ptr<double>(), mean.data_ptr<double>() + mean.numel())}};
  return to_reply(question, place, answer);
}

Reply TorchEngine::answer_question(const Question& question, Progress& progress, const std::stop_token& stop) {
  if (!probe_) throw Error(ErrorKind::kUsage, "nothing is encoded yet: press Encode first");
  const torch::NoGradGuard no_gradients;
  const auto keep_rollouts = [&] {
    probe_->rollouts().keep(to_heads(question.heads), {.layers = probe_->stack(), .budget_bytes = rollout_budget_bytes_,
                                                       .progress = progress, .stop = stop});
  };
  if (question.method == "prepare") {
    keep_rollouts();
    Reply done;
    done.question = question;
    return done;
  }
  auto query = to_query(question);
  query.focus = to_rect(asked_);
  query.from_kept = question.rounding == Rounding::kQuick;
  // From queries and keys, heads made one by maximum or minimum are written down in any case: kept, the next rollout is fast.
  const bool written = question.heads.fusion == Fusion::kMax || question.heads.fusion == Fusion::kMin;
  if (question.method.starts_with("rollout") && query.from_kept && written && !probe_->rollouts().has_every_head()) keep_rollouts();
  if (query.method == analysis::Method::kKeptMass) return kept_mass_around(question);
  const TokenBox everywhere{0, 0, probe_->grid()[0], probe_->grid()[1]};
  const bool other_window = query.method == analysis::Method::kRow && question.window.has_value();
  if (other_window) return to_reply(question, everywhere, row_with_window(question, query));
  const auto answer = analysis::answer(*probe_, query, progress, stop);
  return to_reply(question, {answer.rect.y, answer.rect.x, answer.rect.height, answer.rect.width}, answer);
}

}  // namespace fovea::explore
