// Memory for tensors so large that the system's giving of it would count.
#pragma once

#include <ATen/core/Tensor.h>

namespace fovea::analysis {

// On the CPU. Half a gigabyte of small pages takes as long to be given as to be filled.
at::Tensor empty_in_large_pages(at::IntArrayRef sizes, at::ScalarType dtype);

}  // namespace fovea::analysis
