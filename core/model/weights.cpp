#include "core/model/weights.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "core/base/error.h"

namespace fovea {
namespace {

constexpr std::array<std::pair<ElementType, torch::Dtype>, 17> kDtypes{{
    {ElementType::kBool, torch::kBool}, {ElementType::kU8, torch::kUInt8}, {ElementType::kI8, torch::kInt8},
    {ElementType::kF8E5M2, torch::kFloat8_e5m2}, {ElementType::kF8E4M3, torch::kFloat8_e4m3fn},
    {ElementType::kF8E8M0, torch::kFloat8_e8m0fnu},
    {ElementType::kI16, torch::kInt16}, {ElementType::kU16, torch::kUInt16}, {ElementType::kF16, torch::kFloat16},
    {ElementType::kBF16, torch::kBFloat16}, {ElementType::kI32, torch::kInt32}, {ElementType::kU32, torch::kUInt32},
    {ElementType::kF32, torch::kFloat32}, {ElementType::kI64, torch::kInt64}, {ElementType::kU64, torch::kUInt64},
    {ElementType::kF64, torch::kFloat64}, {ElementType::kC64, torch::kComplexFloat},
}};

torch::Dtype dtype_of(ElementType type) {
  return std::find_if(kDtypes.begin(), kDtypes.end(), [type](const auto& row) { return row.first == type; })->second;
}

ElementType type_of(torch::Dtype dtype) {
  const auto row = std::find_if(kDtypes.begin(), kDtypes.end(), [dtype](const auto& candidate) { return candidate.second == dtype; });
  require(row != kDtypes.end(), "write_tensors: the format has no such element type");
  return row->first;
}

}  // namespace

torch::Tensor read_tensor(const SafetensorsFile& file, const TensorEntry& entry) {
  auto tensor = torch::empty(entry.shape, dtype_of(entry.type));
  file.read(entry, {static_cast<std::byte*>(tensor.data_ptr()), static_cast<std::size_t>(tensor.nbytes())});
  return tensor;
}

void write_tensors(const std::filesystem::path& path, const std::map<std::string, torch::Tensor>& tensors,
                   const std::map<std::string, std::string>& metadata) {
  std::vector<torch::Tensor> kept;   // owns the bytes that the entries point at
  std::vector<TensorToWrite> entries;
  for (const auto& [name, tensor] : tensors) {
    kept.push_back(tensor.detach().to(torch::kCPU).contiguous());
    const auto& data = kept.back();
    entries.push_back({.name = name, .type = type_of(data.scalar_type()), .shape = data.sizes().vec(),
                       .data = {static_cast<const std::byte*>(data.const_data_ptr()), static_cast<std::size_t>(data.nbytes())}});
  }
  write_safetensors(path, std::move(entries), metadata);
}

void require_finite(const torch::Tensor& tensor, const std::filesystem::path& file, const std::string& name) {
  if (!tensor.is_floating_point() || torch::isfinite(tensor).all().item<bool>()) return;
  throw Error(ErrorKind::kModel, file.string() + ": " + name + ": has values that are not finite");
}

}  // namespace fovea
