#include "core/train/loss.h"

#include <cmath>
#include <numeric>

#include "core/base/error.h"

namespace fovea {
namespace {

torch::Tensor soft_jaccard_loss(const LossInputs& inputs) {
  const auto labelled = inputs.masks.ne(inputs.ignore_index);
  const auto classes = inputs.logits.size(1);
  const auto truth = torch::one_hot(inputs.masks.masked_fill(labelled.logical_not(), 0), classes).permute({0, 3, 1, 2}).to(torch::kFloat32);
  const auto valid = labelled.unsqueeze(1).to(torch::kFloat32);
  const auto p = inputs.logits.softmax(1) * valid;
  const auto t = truth * valid;
  const auto both = (p * t).sum({0, 2, 3});
  const auto either = p.sum({0, 2, 3}) + t.sum({0, 2, 3}) - both;
  const auto present = t.sum({0, 2, 3}).gt(0).to(torch::kFloat32);
  const auto jaccard = both / either.clamp_min(1e-6);
  return ((1 - jaccard) * present).sum() / present.sum().clamp_min(1);
}

}  // namespace

torch::Tensor class_weights(const LossConfig& config, const std::vector<std::int64_t>& class_pixels) {
  const auto classes = class_pixels.size();
  std::vector<double> weights = config.class_weights;
  if (!weights.empty() && weights.size() != classes) {
    throw Error(ErrorKind::kUsage, "loss.class_weights: " + std::to_string(weights.size()) + " numbers, the model has " +
                                       std::to_string(classes) + " classes");
  }
  if (config.balanced) {
    const double total = static_cast<double>(std::accumulate(class_pixels.begin(), class_pixels.end(), std::int64_t{0}));
    double mean = 0;
    for (const auto pixels : class_pixels) {
      const double share = static_cast<double>(pixels) / total;
      weights.push_back(pixels == 0 ? 0 : 1 / std::sqrt(share));
      mean += share * weights.back();
    }
    for (double& weight : weights) weight /= mean;
  }
  return weights.empty() ? torch::Tensor() : torch::tensor(weights, torch::kFloat32);
}

torch::Tensor segmentation_loss(const LossInputs& inputs, const LossConfig& config) {
  // The mean is taken here: torch's own is 0/0 where no pixel of the batch is labelled.
  const auto labelled = inputs.masks.ne(inputs.ignore_index);
  auto share = labelled.to(torch::kFloat32);
  if (inputs.weights.defined()) share = share * inputs.weights.take(inputs.masks.masked_fill(labelled.logical_not(), 0));
  const std::optional<torch::Tensor> weights = inputs.weights.defined() ? std::optional(inputs.weights) : std::nullopt;
  const auto sum = at::cross_entropy_loss(inputs.logits, inputs.masks, weights, at::Reduction::Sum, inputs.ignore_index, config.label_smoothing);
  const auto entropy = sum / share.sum().clamp_min(1e-6);
  if (config.jaccard_weight == 0) return entropy;
  return entropy * (1 - config.jaccard_weight) + soft_jaccard_loss(inputs) * config.jaccard_weight;
}

}  // namespace fovea
