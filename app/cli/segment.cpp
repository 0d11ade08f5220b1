#include <algorithm>
#include <cstdio>
#include <optional>

#include "app/cli/commands.h"
#include "app/cli/console.h"
#include "app/cli/run.h"
#include "app/cli/session.h"
#include "core/base/model_folder.h"
#include "core/segment/batch.h"
#include "core/segment/batch_report.h"
#include "core/segment/inputs.h"
#include "core/train/training_device.h"

namespace fovea::cli {
namespace {

nlohmann::json options_json(const SegmentRequest& request) {
  return {{"context", request.context}, {"tile", request.tile}, {"overlap", request.overlap}, {"formats", request.formats},
          {"overlay", request.overlay}, {"on_error", request.on_error}};
}

std::vector<OutputKind> output_kinds(const SegmentRequest& request) {
  std::vector<OutputKind> kinds;
  for (const std::string& format : request.formats) {
    const OutputKind kind = format == "png" ? OutputKind::kMaskPng : OutputKind::kMaskTiff;
    if (std::find(kinds.begin(), kinds.end(), kind) == kinds.end()) kinds.push_back(kind);
  }
  if (kinds.empty()) kinds.push_back(OutputKind::kMask);
  if (request.overlay) kinds.push_back(OutputKind::kOverlay);
  return kinds;
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
    place_ = "[" + std::to_string(index + 1) + "/" + std::to_string(count) + "] ";
    console_.begin(place_ + input.string());
    event("image_started", {{"input", input.string()}, {"index", index}, {"count", count}});
  }

  void image_done(const ImageRecord& record) override {
    const double megapixels = static_cast<double>(record.result.width * record.result.height) / 1e6;
    char figures[96];
    std::snprintf(figures, sizeof figures, ": %.3g MP in %.1f s, %.3g MP/s", megapixels, record.seconds, megapixels / record.seconds);
    console_.line(place_ + record.input.string() + figures);
    const nlohmann::json json = to_json(record, config_);
    for (const auto& [name, share] : json["class_shares"].items()) {
      std::snprintf(figures, sizeof figures, "    %-20s %5.1f %%", name.c_str(), share.get<double>() * 100);
      console_.detail(figures);
    }
    for (const auto& [stage, seconds] : record.result.stage_seconds) {
      std::snprintf(figures, sizeof figures, "    %-20s %7.2f s", stage.c_str(), seconds);
      console_.detail(figures);
    }
    event("image_done", json);
  }

  void image_failed(const ImageFailure& failure) override {
    console_.error(failure.message);
    event("image_failed", {{"input", failure.input}, {"reason", failure.message}});
  }

 private:
  Console& console_;
  const ModelConfig& config_;
  std::optional<EventLog> events_;
  std::string place_;
};

void create_folder(const std::filesystem::path& folder) {
  std::error_code code;
  std::filesystem::create_directories(folder, code);
  if (code) throw Error(ErrorKind::kEnvironment, folder.string() + ": cannot create this folder: " + code.message());
}

BatchOptions batch_options(const SegmentRequest& request, const InputList& inputs) {
  BatchOptions options{.files = inputs.files, .names = name_outputs(inputs.files), .folder = request.output, .outputs = output_kinds(request)};
  options.on_error = request.on_error == "stop" ? OnError::kStop : OnError::kSkip;
  options.segment = {.context = SegmentContext::kTiles, .tile_pixels = request.tile, .overlap_pixels = request.overlap};
  return options;
}

int finish(Console& console, Observer& observer, const BatchReport& report, const std::filesystem::path& folder) {
  observer.event("finished", {{"done", report.done.size()}, {"failed", report.failures.size()}, {"left", report.left}});
  char text[160];
  std::snprintf(text, sizeof text, "%zu done, %zu failed%s%s in %.1f s: %s", report.done.size(), report.failures.size(),
                report.left > 0 ? ", not tried: " : "", report.left > 0 ? std::to_string(report.left).c_str() : "", report.seconds,
                (folder / "summary.json").c_str());
  console.line(text);
  return report.failures.empty() ? kExitDone : kExitSomeFailed;
}

}  // namespace

int run_segment(const SegmentRequest& request, const CommonOptions& common, const std::stop_token& stop) {
  Console console(common.verbosity, {"MP", 1e6});
  const auto folder = find_model(request.model.model);
  const torch::Device device = choose_device(request.model.device);
  const torch::Dtype precision = choose_precision(request.model.precision, device);
  const auto model = load_model(folder, device, precision);
  if (model->decoder() == nullptr) throw Error(ErrorKind::kModel, folder.string() + ": a backbone without a decoder cannot segment");
  create_folder(request.output);
  const InputList inputs = expand_inputs(request.inputs, request.output);
  Observer observer(console, request, model->config());
  const RunDescription run{.version = FOVEA_VERSION, .model_name = model->config().name, .model_hash = model_hash(folder),
                           .model_folder = folder.string(), .device = device.str(), .precision = precision_name(precision),
                           .options = options_json(request)};
  observer.event("started", {{"images", inputs.files.size()}, {"model", run.model_name}, {"device", run.device}, {"output", request.output}});
  BatchReport report;
  for (const std::string& message : inputs.failures) {
    report.failures.push_back({message.substr(0, message.rfind(": ")), message});
    observer.image_failed(report.failures.back());
  }
  const auto options = batch_options(request, inputs);
  if (!report.failures.empty() && options.on_error == OnError::kStop) {
    report.left = static_cast<std::int64_t>(inputs.files.size());
  } else {
    try {
      run_batch(options, *model, observer, stop, report);
    } catch (...) {
      // What is done is done: the summary says so even if an error ends the run. A disk that is full refuses it too.
      try {
        write_summary(request.output, summary_json(report, run, model->config()));
      } catch (const Error&) {
      }
      throw;
    }
  }
  write_summary(request.output, summary_json(report, run, model->config()));
  return finish(console, observer, report, request.output);
}

}  // namespace fovea::cli
