// What a run leaves to read: log.jsonl and curves.svg. No torch.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace fovea {

// One JSON object a line, each with "event" and "step" (steps done): "step" events carry loss, rate_factor, grad_norm, images_per_s and
// seconds, "validation" events mean_iou, pixel_accuracy and iou.
class TrainingLog {
 public:
  // Keeps the lines of an existing file up to steps_done and drops the rest: steps that a resumed run will take again.
  // Errors: Error{kInput} "FILE: line N: not a line of a training log", Error{kEnvironment}.
  TrainingLog(std::filesystem::path path, std::int64_t steps_done);

  void append(const nlohmann::json& event);      // on the disk when it returns, as far as the system's buffers
  const std::vector<nlohmann::json>& events() const { return events_; }

 private:
  std::filesystem::path path_;
  std::ofstream file_;
  std::vector<nlohmann::json> events_;
};

// The events as an SVG of 760x360: the loss of each step (light), its running mean, and the mean IoU of each validation on the right axis.
std::string plot_training(const std::vector<nlohmann::json>& events, const std::string& title);

}  // namespace fovea
