#include <algorithm>
#include <cstdio>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "app/cli/commands.h"
#include "app/cli/console.h"
#include "app/cli/run.h"
#include "app/cli/session.h"
#include "core/base/model_folder.h"
#include "core/segment/batch.h"
#include "core/segment/batch_report.h"
#include "core/segment/inputs.h"
#include "core/segment/output_lock.h"
#include "core/segment/outputs.h"
#include "core/segment/whole_image_encoder.h"
#include "core/train/training_device.h"

namespace fovea::cli {
namespace {

SegmentContext context_of(const SegmentRequest& request) {
  if (request.context == "image") return SegmentContext::kImage;
  return request.context == "tiles" ? SegmentContext::kTiles : SegmentContext::kAuto;
}

nlohmann::json options_json(const SegmentRequest& request, const ModelConfig& config) {
  const bool image = context_for(config, context_of(request)) == SegmentContext::kImage;
  nlohmann::json options = {{"context", image ? "image" : "tiles"}, {"tile", request.tile}, {"overlap", request.overlap},
                            {"formats", request.formats}, {"overlay", request.overlay}, {"scale", request.scale},
                            {"polygon_coordinates", request.polygon_coordinates}, {"simplify", request.simplify}};
  if (request.window) options["window"] = *request.window;
  if (request.pixel_size) options["pixel_size"] = *request.pixel_size;
  return options;
}

const std::map<std::string, OutputKind> kKinds{{"png", OutputKind::kMaskPng}, {"tif", OutputKind::kMaskTiff}, {"cog", OutputKind::kMaskCog},
                                               {"geojson", OutputKind::kPolygons}, {"coco", OutputKind::kCoco},
                                               {"probs", OutputKind::kProbabilities}};
const std::map<std::string, PolygonCoordinates> kCoordinates{
    {"image", PolygonCoordinates::kImage}, {"epsg4326", PolygonCoordinates::kWgs84}, {"pixels", PolygonCoordinates::kPixels}};

std::vector<OutputKind> output_kinds(const SegmentRequest& request) {
  std::vector<OutputKind> kinds;
  for (const std::string& format : request.formats) {
    const OutputKind kind = kKinds.at(format);
    if (std::find(kinds.begin(), kinds.end(), kind) == kinds.end()) kinds.push_back(kind);
  }
  if (kinds.empty()) kinds.push_back(OutputKind::kMask);
  if (request.overlay) kinds.push_back(OutputKind::kOverlay);
  return kinds;
}

OutputChoice output_choice(const SegmentRequest& request) {
  return {.kinds = output_kinds(request), .polygon_coordinates = kCoordinates.at(request.polygon_coordinates),
          .polygon_tolerance_pixels = request.simplify};
}

ScaleChoice scale_choice(const SegmentRequest& request) {
  if (request.scale == "none") return {};
  if (request.scale == "auto") return {.kind = ScaleChoice::Kind::kAuto, .pixel_size_m = request.pixel_size};
  return {.kind = ScaleChoice::Kind::kFactor, .factor = std::stod(request.scale)};
}

// ": vegetation 71.3 %, land 24.0 %, road 4.7 %": the largest first, without what rounds to nothing.
std::string shares_text(const nlohmann::json& class_shares) {
  constexpr std::size_t kMostNamed = 6;
  std::vector<std::pair<double, std::string>> shares;
  for (const auto& [name, share] : class_shares.items()) {
    if (share.get<double>() >= 0.0005) shares.emplace_back(-share.get<double>(), name);
  }
  std::sort(shares.begin(), shares.end());
  std::string text;
  for (std::size_t i = 0; i < std::min(shares.size(), kMostNamed); ++i) {
    char percent[32];
    std::snprintf(percent, sizeof percent, " %.1f %%", -shares[i].first * 100);
    text += (i == 0 ? ": " : ", ") + shares[i].second + percent;
  }
  return shares.size() > kMostNamed ? text + ", ..." : text;
}

// Tells the console and, if there is one, the event log.
class Observer final : public BatchObserver {
 public:
  Observer(Console& console, const SegmentRequest& request, const ModelConfig& config) : console_(console), config_(config) {
    if (!request.events.empty()) events_.emplace(request.events);
  }

  void event(const std::string& name, const nlohmann::json& fields) {
    if (events_) events_->write(name, fields);
  }
  void report(std::string_view stage, std::int64_t done, std::int64_t total) override { console_.report(stage, done, total); }

  void image_started(const std::filesystem::path& input, std::int64_t index, std::int64_t count) override {
    count_ = count;
    console_.begin(place(index) + input.string());
    event("image_started", {{"input", input.string()}, {"index", index}, {"count", count}});
  }

  void image_done(const ImageRecord& record) override {
    const double megapixels = static_cast<double>(record.counts.width * record.counts.height) / 1e6;
    char figures[96];
    std::snprintf(figures, sizeof figures, ": %.3g MP in %.1f s, %.3g MP/s", megapixels, record.seconds, megapixels / record.seconds);
    const nlohmann::json json = to_json(record, config_);
    console_.line(place(record.index) + record.input.string() + figures + shares_text(json["class_shares"]));
    for (const auto& [stage, seconds] : record.stage_seconds) {
      std::snprintf(figures, sizeof figures, "    %-20s %7.2f s", stage.c_str(), seconds);
      console_.detail(figures);
    }
    event("image_done", json);
  }

  void image_kept(const std::filesystem::path& input, std::int64_t index, std::int64_t count) override {
    count_ = count;
    console_.line(place(index) + input.string() + ": finished before");
    event("image_kept", {{"input", input.string()}});
  }

  void image_failed(const ImageFailure& failure) override {
    console_.error(failure.message);
    event("image_failed", {{"input", failure.input}, {"reason", failure.message}});
  }

  void notice(const std::string& message) override {
    console_.error(message);
    event("notice", {{"message", message}});
  }

 private:
  std::string place(std::int64_t index) const { return "[" + std::to_string(index + 1) + "/" + std::to_string(count_) + "] "; }

  Console& console_;
  const ModelConfig& config_;
  std::optional<EventLog> events_;
  std::int64_t count_ = 0;
};

void create_folder(const std::filesystem::path& folder) {
  std::error_code code;
  std::filesystem::create_directories(folder, code);
  if (code) throw Error(ErrorKind::kEnvironment, folder.string() + ": cannot create this folder: " + code.message());
}

// Every n-th file from the i-th on: names were given to all of them before, so that shards agree.
void take_shard(BatchOptions& options, const Shard& shard) {
  BatchOptions part = options;
  part.files.clear();
  part.names.clear();
  for (auto i = static_cast<std::size_t>(shard.index - 1); i < options.files.size(); i += static_cast<std::size_t>(shard.count)) {
    part.files.push_back(options.files[i]);
    part.names.push_back(options.names[i]);
  }
  options = std::move(part);
}

BatchOptions batch_options(const SegmentRequest& request, const InputList& inputs, Console& console) {
  BatchOptions options;
  options.files = inputs.files;
  options.names = name_outputs(inputs.files);
  options.folder = request.output;
  options.outputs = output_choice(request);
  options.scale = scale_choice(request);
  if (request.window) {
    const auto& [x, y, width, height] = *request.window;
    options.window = Rect{x, y, width, height};
  }
  options.on_error = request.on_error == "stop" ? OnError::kStop : OnError::kSkip;
  options.max_failures = request.max_failures;
  options.resume = request.resume ? Resume::kResume : Resume::kRedo;
  options.segment.context = context_of(request);
  options.segment.tile_pixels = request.tile;
  options.segment.overlap_pixels = request.overlap;
  options.segment.max_memory_bytes = static_cast<std::int64_t>(request.max_memory);
  options.segment.on_plan = [&console](const std::string& plan) { console.detail("plan: " + plan); };
  take_shard(options, {request.shard[0], request.shard[1]});
  return options;
}

// Of an earlier run that was killed.
void remove_leftovers(const BatchOptions& options, const Shard& shard, const std::filesystem::path& summary) {
  if (shard.whole()) return remove_stale_temporaries(options.folder);
  std::set<std::filesystem::path> targets{summary};
  for (const auto& name : options.names) {
    for (auto& file : possible_outputs(options.folder / name)) targets.insert(std::move(file));
  }
  remove_stale_temporaries(options.folder, targets);
}

std::string closing_line(const BatchReport& report, const std::filesystem::path& summary) {
  std::string text = std::to_string(report.done.size()) + " done, " + std::to_string(report.failures.size()) + " failed";
  if (!report.kept.empty()) text += ", " + std::to_string(report.kept.size()) + " finished before";
  if (report.left > 0) text += ", " + std::to_string(report.left) + " not tried";
  return text + ": " + summary.string();
}

struct LoadedModel {
  std::filesystem::path folder;
  std::shared_ptr<SegmentationModel> model;
  torch::Device device = torch::kCPU;
};

LoadedModel load_segmenter(const SegmentRequest& request) {
  LoadedModel loaded{.folder = find_model(request.model.model), .model = nullptr, .device = choose_device(request.model.device)};
  loaded.model = load_model(loaded.folder, loaded.device, choose_precision(request.model.precision, loaded.device));
  const ModelConfig& config = loaded.model->config();
  if (!config.decoder) {
    throw Error(ErrorKind::kModel, loaded.folder.string() + ": a backbone without a decoder cannot segment; fovea train gives it one");
  }
  if (const char* reason = whole_image_unsupported(config); reason != nullptr && request.context == "image") {
    throw Error(ErrorKind::kUsage, loaded.folder.string() + ": --context image is not possible, because " + reason + "; use tiles");
  }
  return loaded;
}

// The batch, and what became of it written down whatever ends it.
void run_and_summarise(const BatchOptions& options, const LoadedModel& loaded, Observer& observer, const std::stop_token& stop,
                       const std::function<void(const BatchReport&)>& summarise, BatchReport& report) {
  try {
    run_batch(options, *loaded.model, observer, stop, report);
  } catch (...) {
    try {
      summarise(report);
    } catch (const Error&) {
      // A disk that is full refuses the summary too: the first error tells more.
    }
    throw;
  }
  summarise(report);
}

}  // namespace

int run_segment(const SegmentRequest& request, const CommonOptions& common, const std::stop_token& stop) {
  Console console(common.verbosity, {"MP", 1e6});
  const LoadedModel loaded = load_segmenter(request);
  const ModelConfig& config = loaded.model->config();
  const std::filesystem::path folder = request.output;
  create_folder(folder);
  const Shard shard{request.shard[0], request.shard[1]};
  const OutputLock lock(folder, shard);
  InputList inputs = expand_inputs(request.inputs, folder);
  Journal journal(folder, shard_file("journal", ".jsonl", shard));
  if (const std::size_t left_out = leave_out_results(inputs, folder, [&] { return journal.written(); }); left_out > 0) {
    console.error(folder.string() + ": " + std::to_string(left_out) + " of the files named are results of earlier runs, and left out");
  }
  BatchOptions options = batch_options(request, inputs, console);
  const auto summary = folder / shard_file("summary", ".json", shard);
  remove_leftovers(options, shard, summary);
  const RunDescription run{.version = FOVEA_VERSION, .model_name = config.name, .model_hash = model_hash(loaded.folder),
                           .model_folder = loaded.folder.string(), .device = loaded.device.str(),
                           .precision = precision_name(loaded.model->dtype()), .options = options_json(request, config)};
  options.journal = &journal;
  options.model_hash = run.model_hash;
  options.options_hash = sha256_of_text(run.options.dump() + run.device + run.precision + run.version);

  Observer observer(console, request, config);
  observer.event("started",
                 {{"images", options.files.size()}, {"model", run.model_name}, {"device", run.device}, {"output", request.output}});
  BatchReport report;
  for (const std::string& message : inputs.failures) {
    report.failures.push_back({message.substr(0, message.rfind(": ")), message});
    observer.image_failed(report.failures.back());
  }
  run_and_summarise(options, loaded, observer, stop, [&](const BatchReport& made) { write_summary(summary, made, run); }, report);
  observer.event("finished", {{"done", report.done.size()}, {"kept", report.kept.size()}, {"failed", report.failures.size()},
                              {"left", report.left}});
  console.line(closing_line(report, summary));
  return report.failures.empty() ? kExitDone : kExitSomeFailed;
}

}  // namespace fovea::cli
