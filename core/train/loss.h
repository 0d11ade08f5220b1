// What training minimises.
#pragma once

#include <cstdint>
#include <vector>

#include "core/base/torch.h"
#include "core/train/training_config.h"

namespace fovea {

// Weights of the classes in the cross-entropy [classes], float32, on the CPU; an undefined tensor where all are equal. balanced:
// 1/sqrt of a class's share of the labelled pixels, scaled so that the mean over those pixels is 1; a class without pixels gets 0.
// Errors: Error{kUsage} if the list of weights does not have one entry a class.
torch::Tensor class_weights(const LossConfig& config, const std::vector<std::int64_t>& class_pixels);

// (1 - jaccard_weight) * cross-entropy + jaccard_weight * soft Jaccard, over the pixels that are not ignore_index; 0 where there are none.
// Cross-entropy: weighted, with label smoothing (Szegedy et al. 2016). Soft Jaccard: 1 - mean over the classes that occur in the batch of
// sum(p t) / sum(p + t - p t), p the softmax, t the label, sums over the whole batch (Rahman and Wang 2016): what mIoU measures, smooth.
// logits: [B, classes, H, W] float32; masks: [B, H, W] int64; weights as from class_weights, on the device of the logits.
struct LossInputs {
  torch::Tensor logits, masks, weights;
  std::int64_t ignore_index = 255;
};
torch::Tensor segmentation_loss(const LossInputs& inputs, const LossConfig& config);

}  // namespace fovea
