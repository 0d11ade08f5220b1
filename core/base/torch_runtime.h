// Brings CUDA into a process that links only torch's CPU library.
#pragma once

#include <string>

namespace fovea {

// Loads libtorch_cuda.so if it and an NVIDIA driver are present. Returns an empty string when CUDA can be used, else the reason why
// not, in one line. The first call does the work; later calls return its result. Thread-safe.
const std::string& load_torch_cuda();

}  // namespace fovea
