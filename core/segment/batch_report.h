// What a run leaves for programs to read: summary.json at its end, events while it goes.
#pragma once

#include <cstdio>
#include <filesystem>
#include <string>

#include <nlohmann/json.hpp>

#include "core/segment/batch.h"

namespace fovea {

struct RunDescription {
  std::string version;             // of the program
  std::string model_name, model_hash;
  std::string model_folder;
  std::string device, precision;
  nlohmann::json options;          // as the caller names them
};

// Format "fovea-summary/1" (docs/outputs.md): run, model, per image size, seconds by stage and class shares, failures with reasons. The
// images are a line each.
void write_summary(const std::filesystem::path& file, const BatchReport& report, const RunDescription& run);

// One JSON object a line, handed to the system when the call returns: {"time": ISO 8601 UTC, "event": NAME, ...fields}.
// Errors: Error{kEnvironment}.
class EventLog {
 public:
  explicit EventLog(const std::filesystem::path& path);   // appends
  ~EventLog();
  EventLog(const EventLog&) = delete;
  EventLog& operator=(const EventLog&) = delete;

  void write(const std::string& event, const nlohmann::json& fields);

 private:
  std::filesystem::path path_;
  std::FILE* file_;
};

nlohmann::json to_json(const ImageRecord& record, const ModelConfig& config);
// On one line. Names from the file system need not be UTF-8; what is not becomes a replacement character.
std::string record_text(const nlohmann::json& record);

}  // namespace fovea
