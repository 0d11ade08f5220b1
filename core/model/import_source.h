// What a foreign checkpoint calls its tensors.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/torch.h"
#include "core/model/config.h"
#include "core/model/safetensors.h"

namespace fovea {

// Names of one family of checkpoints. Those of linear layers, norms and the patch kernel are without ".weight" and ".bias".
struct SourceLayout {
  std::string_view title;
  std::string_view class_token, registers, positions, patch, norm, blocks;
  std::vector<std::string_view> qkv;                                              // one packed layer, or query, key and value
  std::vector<std::pair<std::string_view, std::string_view>> affine;              // ours, theirs: weight and bias each
  std::array<std::string_view, 2> scales;                                         // LayerScale of attention and MLP
  std::vector<std::string_view> useless;                                          // how names begin that an encoder does not need
};

// A checkpoint that is read tensor by tensor, remembering which were asked for.
class ImportSource {
 public:
  // Finds the file and which layout it has. Error{kModel} if none.
  explicit ImportSource(const std::filesystem::path& source);

  const SourceLayout& layout() const { return *layout_; }
  const std::filesystem::path& path() const { return file_.path(); }

  bool has(const std::string& name) const { return file_.find(prefix_ + name) != nullptr; }
  torch::Tensor take(const std::string& name);               // float32; Error{kModel} if absent, not floating-point or not finite
  std::int64_t count_blocks() const;

  // Names that nobody took. Error{kModel} if one of them is not known to be useless.
  std::vector<std::string> left_out() const;

  // What config.json and preprocessor_config.json beside the weights say; what they do not say stays as it is.
  void read_settings(std::int64_t& heads, ModelConfig& config) const;

 private:
  SafetensorsFile file_;
  const SourceLayout* layout_ = nullptr;
  std::string prefix_;                                       // "dinov2." and the like, of models that wrap the backbone
  std::set<std::string, std::less<>> taken_;
};

}  // namespace fovea
