// Writing pictures and numbers for elsewhere, one after the other in the background, each with a sidecar that says how to make it again.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "app/viewer/background_job.h"
#include "app/viewer/messages.h"

namespace fovea {

// A command that makes the data of a layer again.
struct LayerCommand {
  std::string layer;                       // id
  std::vector<std::string> command;        // {"fovea", "segment", ...}; empty: there is none
  std::string writes;                      // the file that it makes, as named in the command
  std::string note = {};                   // why there is no command, or what differs
};

// "FILE.json": what was written, of which image, how to make it again. Its folder is that of the file.
struct Sidecar {
  std::string what;                        // "view", "overlay", "mask", "attention"
  std::filesystem::path image;             // absolute
  std::vector<LayerCommand> commands;
  nlohmann::json more = nlohmann::json::object();   // further keys: view, layers
};
std::filesystem::path sidecar_path(const std::filesystem::path& file);
nlohmann::json to_json(const Sidecar& sidecar, const std::filesystem::path& file);

class Exporter {
 public:
  Exporter(Messages& messages, std::function<void()> wake) : messages_(messages), job_(std::move(wake)) {}
  // write makes the file, on a worker; the sidecar follows. What became of it is told in the messages. Not while running().
  void start(const std::filesystem::path& file, Sidecar sidecar, BackgroundJob::Work write);
  void cancel() { job_.cancel(); }
  bool running() const { return job_.running(); }
  JobState state() const { return job_.state(); }
  const std::filesystem::path& file() const { return file_; }
  void poll() { job_.poll(); }             // once a frame

 private:
  Messages& messages_;
  std::filesystem::path file_;
  BackgroundJob job_;
};

// A command line that a shell takes: quoted where needed.
std::string shell_line(const std::vector<std::string>& command);

}  // namespace fovea
