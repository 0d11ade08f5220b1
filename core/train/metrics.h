// How well labels agree with the truth.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/base/torch.h"

namespace fovea {

// Pixels by true class (rows) and predicted class (columns).
class ConfusionMatrix {
 public:
  explicit ConfusionMatrix(std::int64_t classes);

  // truth, prediction: uint8 of the same shape, on one device. Pixels whose truth is ignore_index do not count.
  void add(const torch::Tensor& truth, const torch::Tensor& prediction, std::int64_t ignore_index);

  std::int64_t classes() const { return classes_; }
  std::int64_t pixels(std::int64_t truth, std::int64_t prediction) const {
    return counts_.at(static_cast<std::size_t>(truth * classes_ + prediction));
  }
  std::int64_t total() const;

  // Intersection over union of each class; none where a class is neither in the truth nor predicted.
  std::vector<std::optional<double>> iou() const;
  // Mean of the above over the classes that have one; share of the pixels that are right. 0 where nothing was counted.
  double mean_iou() const;
  double pixel_accuracy() const;

 private:
  std::int64_t classes_;
  std::vector<std::int64_t> counts_;
};

// {"mean_iou", "pixel_accuracy", "pixels", "iou": {class: number or null}, "confusion": {"classes", "rows_truth_columns_prediction"}}
nlohmann::json to_json(const ConfusionMatrix& matrix, const std::vector<std::string>& class_names);

}  // namespace fovea
