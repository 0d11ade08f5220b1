// The safetensors file format: the only weight format ever loaded (docs/model-format.md). No torch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fovea {

// The element types of the format whose elements are whole bytes.
enum class ElementType { kBool, kU8, kI8, kF8E5M2, kF8E4M3, kF8E8M0, kI16, kU16, kF16, kBF16, kI32, kU32, kF32, kI64, kU64, kF64, kC64 };

std::string_view element_type_name(ElementType type);      // as in the file: "F32"
std::int64_t element_size_bytes(ElementType type);

struct TensorEntry {
  std::string name;
  ElementType type = ElementType::kF32;
  std::vector<std::int64_t> shape;
  std::uint64_t offset_bytes = 0;                           // from the start of the data, not of the file
  std::uint64_t size_bytes = 0;
};

// An open file whose header has been checked; data are read on demand, little-endian as stored.
//
// The header is accepted under the rules of the format's reference reader (github.com/huggingface/safetensors): at most 100 MB; a UTF-8
// JSON object; no key twice; known types; sizes that multiply without overflow; data offsets that follow each other without overlap or
// hole; a file that ends where its last tensor ends; "__metadata__" maps strings to strings.
// Errors: Error{kModel} "FILE: KEY: what was wrong".
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::filesystem::path& path);
  ~SafetensorsFile();
  SafetensorsFile(SafetensorsFile&& other) noexcept;
  SafetensorsFile(const SafetensorsFile&) = delete;
  SafetensorsFile& operator=(const SafetensorsFile&) = delete;
  SafetensorsFile& operator=(SafetensorsFile&&) = delete;

  const std::filesystem::path& path() const noexcept { return path_; }
  const std::vector<TensorEntry>& entries() const noexcept { return entries_; }   // in the order of their data
  const std::map<std::string, std::string>& metadata() const noexcept { return metadata_; }
  const TensorEntry* find(std::string_view name) const;                           // nullptr if absent

  // Copies a tensor's bytes; destination.size() must be entry.size_bytes. Thread-safe.
  void read(const TensorEntry& entry, std::span<std::byte> destination) const;

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
  std::uint64_t data_start_ = 0;
  std::vector<TensorEntry> entries_;
  std::map<std::string, std::string> metadata_;
};

// One tensor to write; data stay the caller's.
struct TensorToWrite {
  std::string name;
  ElementType type = ElementType::kF32;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> data;
};

// Writes atomically. The bytes depend on nothing but the arguments' values: tensors are ordered by element size (largest first, so that
// each is aligned without holes), then by name. Errors: Error{kEnvironment} "FILE: cannot write: REASON".
void write_safetensors(const std::filesystem::path& path, std::vector<TensorToWrite> tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace fovea
