#include "app/viewer/export/exporter.h"

#include "core/base/files.h"

namespace fovea {

std::filesystem::path sidecar_path(const std::filesystem::path& file) { return std::filesystem::path(file) += ".json"; }

nlohmann::json to_json(const Sidecar& sidecar, const std::filesystem::path& file) {
  nlohmann::json commands = nlohmann::json::array();
  for (const LayerCommand& made : sidecar.commands) {
    nlohmann::json entry{{"layer", made.layer}};
    if (!made.command.empty()) {
      entry["command"] = made.command;
      entry["shell"] = shell_line(made.command);
      entry["writes"] = made.writes;
    }
    if (!made.note.empty()) entry["note"] = made.note;
    commands.push_back(std::move(entry));
  }
  nlohmann::json json{{"format", "fovea-export/1"},
                      {"what", sidecar.what},
                      {"file", file.filename().string()},
                      {"image", sidecar.image.string()},
                      {"image_from_here", sidecar.image.lexically_relative(std::filesystem::absolute(file).parent_path()).string()},
                      {"commands", commands}};
  json.update(sidecar.more);
  return json;
}

void Exporter::start(const std::filesystem::path& file, Sidecar sidecar, BackgroundJob::Work write) {
  file_ = file;
  job_.start(
      [file, sidecar = std::move(sidecar), write = std::move(write)](Progress& progress, const std::stop_token& stop) {
        write(progress, stop);
        write_file_atomically(sidecar_path(file),
                              to_json(sidecar, file).dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
      },
      [this, file](const BackgroundJob::Outcome& outcome) {
        if (!outcome.error.empty()) messages_.error(outcome.error);
        else if (outcome.stopped) messages_.info("Not saved: " + file.string());
        else messages_.info("Saved " + file.string() + " and how to make it again beside it (.json)");
      });
}

std::string shell_line(const std::vector<std::string>& command) {
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./,:=+@%";
  std::string line;
  for (const std::string& word : command) {
    if (!line.empty()) line += ' ';
    if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) {
      line += word;
      continue;
    }
    line += '\'';
    for (const char character : word) line += character == '\'' ? std::string("'\\''") : std::string(1, character);
    line += '\'';
  }
  return line;
}

}  // namespace fovea
