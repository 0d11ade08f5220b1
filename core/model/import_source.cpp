#include "core/model/import_source.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/model/strict_json.h"
#include "core/model/weights.h"

namespace fovea {
namespace {

constexpr int kMaxSettingsDepth = 32;
constexpr std::size_t kMaxSettingsBytes = 16u << 20;

const std::array<SourceLayout, 2>& layouts() {
  static const std::array<SourceLayout, 2> rows{{
      {.title = "transformers Dinov2Model", .class_token = "embeddings.cls_token", .registers = "embeddings.register_tokens",
       .positions = "embeddings.position_embeddings", .patch = "embeddings.patch_embeddings.projection", .norm = "layernorm",
       .blocks = "encoder.layer.", .qkv = {"attention.attention.query", "attention.attention.key", "attention.attention.value"},
       .affine = {{"norm1", "norm1"}, {"attention.out", "attention.output.dense"}, {"norm2", "norm2"}, {"mlp.fc1", "mlp.fc1"},
                  {"mlp.fc2", "mlp.fc2"}},
       .scales = {"layer_scale1.lambda1", "layer_scale2.lambda1"}, .useless = {"embeddings.mask_token", "classifier."}},
      {.title = "timm VisionTransformer", .class_token = "cls_token", .registers = "reg_token", .positions = "pos_embed",
       .patch = "patch_embed.proj", .norm = "norm", .blocks = "blocks.", .qkv = {"attn.qkv"},
       .affine = {{"norm1", "norm1"}, {"attention.out", "attn.proj"}, {"norm2", "norm2"}, {"mlp.fc1", "mlp.fc1"}, {"mlp.fc2", "mlp.fc2"}},
       .scales = {"ls1.gamma", "ls2.gamma"}, .useless = {"mask_token", "head.", "fc_norm."}},
  }};
  return rows;
}

SafetensorsFile open_source(const std::filesystem::path& source) {
  std::error_code code;
  if (!std::filesystem::exists(source, code)) throw Error(ErrorKind::kModel, source.string() + ": no such file or folder");
  return SafetensorsFile(std::filesystem::is_directory(source, code) ? source / "model.safetensors" : source);
}

// A JSON file beside the weights; an empty object if there is none.
nlohmann::json read_settings_file(const std::filesystem::path& path) {
  std::error_code code;
  if (!std::filesystem::exists(path, code)) return nlohmann::json::object();
  auto json = parse_strict_json(read_text_file(path, kMaxSettingsBytes), kMaxSettingsDepth, path.string());
  if (!json.is_object()) throw Error(ErrorKind::kModel, path.string() + ": is not a JSON object");
  return json;
}

void read_three(const nlohmann::json& json, const char* key, std::array<double, 3>& values) {
  const auto found = json.find(key);
  if (found == json.end() || !found->is_array() || found->size() != 3) return;
  for (std::size_t i = 0; i < 3; ++i) if ((*found)[i].is_number()) values[i] = (*found)[i].get<double>();
}

}  // namespace

ImportSource::ImportSource(const std::filesystem::path& source) : file_(open_source(source)) {
  for (const auto& layout : layouts()) {
    const std::string key = std::string(layout.patch) + ".weight";
    for (const auto& entry : file_.entries()) {
      // The patch kernel tells layout and prefix. Only a whole word may stand before it: "dinov2.", "backbone.".
      if (!entry.name.ends_with(key)) continue;
      const auto prefix = entry.name.substr(0, entry.name.size() - key.size());
      if (!prefix.empty() && prefix.back() != '.') continue;
      layout_ = &layout;
      prefix_ = prefix;
      return;
    }
  }
  throw Error(ErrorKind::kModel, file_.path().string() + ": has no patch embedding of a Dinov2Model or a timm VisionTransformer");
}

torch::Tensor ImportSource::take(const std::string& name) {
  const auto full_name = prefix_ + name;
  const auto* entry = file_.find(full_name);
  const auto fail = [&](const std::string& what) {
    throw Error(ErrorKind::kModel, path().string() + ": " + printable(full_name) + ": " + what);
  };
  if (!entry) fail("is missing");
  taken_.insert(full_name);
  const auto tensor = read_tensor(file_, *entry);
  if (!tensor.is_floating_point()) fail("dtype " + std::string(element_type_name(entry->type)) + ", expected a floating-point type");
  require_finite(tensor, path(), full_name);
  return tensor.to(torch::kFloat32);
}

std::int64_t ImportSource::count_blocks() const {
  std::int64_t count = 0;
  while (has(std::string(layout_->blocks) + std::to_string(count) + ".norm1.weight")) ++count;
  return count;
}

std::vector<std::string> ImportSource::left_out() const {
  std::vector<std::string> names;
  for (const auto& entry : file_.entries()) {
    if (taken_.contains(entry.name)) continue;
    const auto begins = [&](std::string_view start) {
      return entry.name.starts_with(start) || entry.name.starts_with(prefix_ + std::string(start));
    };
    if (std::none_of(layout_->useless.begin(), layout_->useless.end(), begins)) {
      throw Error(ErrorKind::kModel, path().string() + ": " + printable(entry.name) + ": has no place in this encoder");
    }
    names.push_back(entry.name);
  }
  return names;
}

void ImportSource::read_settings(std::int64_t& heads, ModelConfig& config) const {
  const auto settings = read_settings_file(path().parent_path() / "config.json");
  const auto preprocessor = read_settings_file(path().parent_path() / "preprocessor_config.json");
  const auto count = settings.find("num_attention_heads");
  if (count != settings.end() && count->is_number_integer()) heads = count->get<std::int64_t>();
  const auto eps = settings.find("layer_norm_eps");
  if (eps != settings.end() && eps->is_number()) config.encoder.layer_norm_eps = eps->get<double>();
  read_three(preprocessor, "image_mean", config.preprocessing.mean);
  read_three(preprocessor, "image_std", config.preprocessing.deviation);
  const auto timm = settings.find("pretrained_cfg");
  if (timm == settings.end() || !timm->is_object()) return;
  read_three(*timm, "mean", config.preprocessing.mean);
  read_three(*timm, "std", config.preprocessing.deviation);
}

}  // namespace fovea
