#include "core/train/training_log.h"

#include <sstream>
#include <string_view>

#include "core/base/error.h"
#include "core/base/files.h"

namespace fovea {

TrainingLog::TrainingLog(std::filesystem::path path, std::int64_t steps_done) : path_(std::move(path)) {
  std::string kept;
  if (steps_done > 0 && std::filesystem::exists(path_)) {
    std::istringstream lines(read_text_file(path_));
    std::int64_t number = 0;
    for (std::string line; std::getline(lines, line);) {
      ++number;
      const auto event = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
      const bool good = event.is_object() && event.contains("step") && event["step"].is_number_integer() && event.contains("event");
      // A machine that stopped in the middle of a line leaves it cut: the run goes on from an earlier step and writes it again.
      if (!good && lines.eof()) break;
      if (!good) throw Error(ErrorKind::kInput, path_.string() + ": line " + std::to_string(number) + ": not a line of a training log");
      if (event["step"].get<std::int64_t>() > steps_done) continue;
      events_.push_back(event);
      kept += line + "\n";
    }
  }
  write_file_atomically(path_, kept);
  file_.open(path_, std::ios::binary | std::ios::app);
  if (!file_) throw Error(ErrorKind::kEnvironment, path_.string() + ": cannot write");
}

void TrainingLog::append(const nlohmann::json& event) {
  events_.push_back(event);
  file_ << event.dump() << '\n' << std::flush;
  if (!file_) throw Error(ErrorKind::kEnvironment, path_.string() + ": cannot write");
}

}  // namespace fovea
