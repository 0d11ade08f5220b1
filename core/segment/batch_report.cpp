#include "core/segment/batch_report.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <ctime>

#include "core/base/files.h"

namespace fovea {
namespace {

constexpr char kImagesGoHere[] = "the images go here";

std::string utc_now() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

// Shares of the run's time: a model share near 1 says that neither disk nor codecs held the model up.
nlohmann::json pipeline_json(const BatchReport& report) {
  const double whole = std::max(report.seconds, 1e-9);
  const auto busy = [&](double seconds) { return nlohmann::json{{"seconds", seconds}, {"share", seconds / whole}}; };
  return {{"opening", busy(report.pipeline.opening)}, {"model", busy(report.pipeline.model)}, {"writing", busy(report.pipeline.writing)}};
}

// What summary.json says apart from the images; kImagesGoHere stands for their list.
nlohmann::json summary_frame(const BatchReport& report, const RunDescription& run) {
  nlohmann::json failures = nlohmann::json::array();
  for (const ImageFailure& failure : report.failures) failures.push_back({{"input", failure.input}, {"reason", failure.message}});
  return {{"format", "fovea-summary/1"},
          {"program", "fovea " + run.version},
          {"finished", utc_now()},
          {"seconds", report.seconds},
          {"busy", pipeline_json(report)},
          {"model", {{"name", run.model_name}, {"folder", run.model_folder}, {"sha256", run.model_hash}}},
          {"device", run.device},
          {"precision", run.precision},
          {"options", run.options},
          {"counts",
           {{"done", report.done.size()}, {"kept", report.kept.size()}, {"failed", report.failures.size()}, {"left", report.left}}},
          {"images", kImagesGoHere},
          {"failures", failures}};
}

std::string image_list(const BatchReport& report) {
  std::string list;
  for (const auto* records : {&report.kept, &report.done}) {
    for (const std::string& record : *records) list += (list.empty() ? "\n    " : ",\n    ") + record;
  }
  return "[" + list + (list.empty() ? "]" : "\n  ]");
}

}  // namespace

nlohmann::json to_json(const ImageRecord& record, const ModelConfig& config) {
  const LabelCounts& counts = record.counts;
  const std::int64_t pixels = counts.width * counts.height, valid = pixels - counts.nodata_pixels;
  nlohmann::json shares = nlohmann::json::object(), outputs = nlohmann::json::array();
  for (std::size_t i = 0; i < config.classes.size(); ++i) {
    shares[config.classes[i].name] = valid > 0 ? static_cast<double>(counts.class_pixels[i]) / static_cast<double>(valid) : 0.0;
  }
  for (const auto& path : record.outputs) outputs.push_back(path.string());
  nlohmann::json json = {{"input", record.input.string()},
                         {"outputs", outputs},
                         {"width", counts.width},
                         {"height", counts.height},
                         {"seconds", record.seconds},
                         {"stage_seconds", record.stage_seconds},
                         {"megapixels_per_second", record.seconds > 0 ? static_cast<double>(pixels) / 1e6 / record.seconds : 0.0},
                         {"class_shares", shares},
                         {"nodata_share", static_cast<double>(counts.nodata_pixels) / static_cast<double>(pixels)}};
  if (record.model_extent != PixelExtent{counts.width, counts.height}) {
    json["scaled_to"] = {record.model_extent.width, record.model_extent.height};
  }
  return json;
}

std::string record_text(const nlohmann::json& record) { return record.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace); }

// The list of images is put in as text, so that a long one need not become a tree of objects.
void write_summary(const std::filesystem::path& file, const BatchReport& report, const RunDescription& run) {
  std::string text = summary_frame(report, run).dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  const std::string mark = std::string("\"images\": \"") + kImagesGoHere + "\"";
  const std::size_t at = text.find(mark);
  require(at != std::string::npos, "write_summary: the frame has a place for the images");
  text.replace(at, mark.size(), "\"images\": " + image_list(report));
  write_file_atomically(file, text);
}

EventLog::EventLog(const std::filesystem::path& path) : path_(path), file_(std::fopen(path.c_str(), "ae")) {
  if (file_ == nullptr) throw Error(ErrorKind::kEnvironment, path.string() + ": cannot write: " + std::strerror(errno));
}

EventLog::~EventLog() { std::fclose(file_); }

void EventLog::write(const std::string& event, const nlohmann::json& fields) {
  nlohmann::json line = {{"time", utc_now()}, {"event", event}};
  line.update(fields);
  const std::string text = line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  if (std::fputs(text.c_str(), file_) < 0 || std::fflush(file_) != 0) {
    throw Error(ErrorKind::kEnvironment, path_.string() + ": cannot write: " + std::strerror(errno));
  }
}

}  // namespace fovea
