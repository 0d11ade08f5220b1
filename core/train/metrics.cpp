#include "core/train/metrics.h"

#include <numeric>

#include "core/base/error.h"

namespace fovea {

ConfusionMatrix::ConfusionMatrix(std::int64_t classes) : classes_(classes), counts_(static_cast<std::size_t>(classes * classes)) {
  require(classes >= 1, "ConfusionMatrix: at least one class is needed");
}

void ConfusionMatrix::add(const torch::Tensor& truth, const torch::Tensor& prediction, std::int64_t ignore_index) {
  require(truth.sizes() == prediction.sizes(), "ConfusionMatrix: truth and prediction must have one shape");
  const auto counted = truth.ne(ignore_index);
  const auto pairs = truth.masked_select(counted).to(torch::kInt64) * classes_ + prediction.masked_select(counted).to(torch::kInt64);
  const auto counts = torch::bincount(pairs, {}, classes_ * classes_).to(torch::kCPU).contiguous();
  require(counts.numel() == classes_ * classes_, "ConfusionMatrix: a label is not one of the classes");
  const auto* added = counts.data_ptr<std::int64_t>();
  for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += added[i];
}

std::int64_t ConfusionMatrix::total() const {
  return std::accumulate(counts_.begin(), counts_.end(), std::int64_t{0});
}

std::vector<std::optional<double>> ConfusionMatrix::iou() const {
  std::vector<std::optional<double>> result;
  for (std::int64_t c = 0; c < classes_; ++c) {
    std::int64_t truth = 0, prediction = 0;
    for (std::int64_t other = 0; other < classes_; ++other) {
      truth += pixels(c, other);
      prediction += pixels(other, c);
    }
    const std::int64_t either = truth + prediction - pixels(c, c);
    result.push_back(either == 0 ? std::nullopt : std::optional(static_cast<double>(pixels(c, c)) / static_cast<double>(either)));
  }
  return result;
}

double ConfusionMatrix::mean_iou() const {
  double sum = 0;
  std::int64_t occurring = 0;
  for (const auto& value : iou()) {
    if (!value) continue;
    sum += *value;
    ++occurring;
  }
  return occurring == 0 ? 0 : sum / static_cast<double>(occurring);
}

double ConfusionMatrix::pixel_accuracy() const {
  std::int64_t right = 0;
  for (std::int64_t c = 0; c < classes_; ++c) right += pixels(c, c);
  return total() == 0 ? 0 : static_cast<double>(right) / static_cast<double>(total());
}

nlohmann::json to_json(const ConfusionMatrix& matrix, const std::vector<std::string>& class_names) {
  require(static_cast<std::int64_t>(class_names.size()) == matrix.classes(), "to_json: one name a class is needed");
  auto iou = nlohmann::json::object();
  auto rows = nlohmann::json::array();
  const auto values = matrix.iou();
  for (std::int64_t truth = 0; truth < matrix.classes(); ++truth) {
    const auto& value = values[static_cast<std::size_t>(truth)];
    iou[class_names[static_cast<std::size_t>(truth)]] = value ? nlohmann::json(*value) : nlohmann::json();
    auto row = nlohmann::json::array();
    for (std::int64_t prediction = 0; prediction < matrix.classes(); ++prediction) row.push_back(matrix.pixels(truth, prediction));
    rows.push_back(std::move(row));
  }
  return {{"mean_iou", matrix.mean_iou()}, {"pixel_accuracy", matrix.pixel_accuracy()}, {"pixels", matrix.total()}, {"iou", std::move(iou)},
          {"confusion", {{"classes", class_names}, {"rows_truth_columns_prediction", std::move(rows)}}}};
}

}  // namespace fovea
