// From the model's scores on its device to rows of labels in host memory.
#pragma once

#include "core/base/torch.h"
#include "core/segment/label_rows.h"

namespace fovea {

// scores: [classes, rows, width]; the largest wins, the first of several. probabilities: of the same shape, between 0 and 1 up to rounding;
// undefined: none.
LabelRows label_rows(const torch::Tensor& scores, const torch::Tensor& probabilities);

}  // namespace fovea
