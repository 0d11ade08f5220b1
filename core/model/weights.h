// Tensors of torch in safetensors files.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "core/base/torch.h"
#include "core/model/safetensors.h"

namespace fovea {

// Copies a tensor out of the file: CPU, contiguous, in the file's type. Errors: Error{kModel} if the file cannot be read any more.
torch::Tensor read_tensor(const SafetensorsFile& file, const TensorEntry& entry);

// Writes tensors of any device and layout, atomically; the file depends only on names and values.
void write_tensors(const std::filesystem::path& path, const std::map<std::string, torch::Tensor>& tensors,
                   const std::map<std::string, std::string>& metadata = {});

// Throws Error{kModel} "FILE: NAME: has values that are not finite" if a floating-point tensor holds a NaN or an infinity.
void require_finite(const torch::Tensor& tensor, const std::filesystem::path& file, const std::string& name);

}  // namespace fovea
