// How much arithmetic a model needs, to say how far from the machine's limit a measured speed is. No torch.
#pragma once

#include "core/model/config.h"

namespace fovea {

// Multiplications and additions of the matrix products, attention and convolutions for one pixel of a large image; what is small beside
// them (norms, rotations, resizing) is left out. The model has a decoder.
struct OperationsAPixel {
  double encoder = 0, decoder = 0;
};
OperationsAPixel operations_a_pixel(const ModelConfig& model);

}  // namespace fovea
