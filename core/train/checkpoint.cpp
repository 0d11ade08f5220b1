#include "core/train/checkpoint.h"

#include "core/base/error.h"
#include "core/model/safetensors.h"
#include "core/model/strict_json.h"
#include "core/model/weights.h"

namespace fovea {
namespace {

using nlohmann::json;

constexpr const char* kInfoKey = "fovea-checkpoint/1";
constexpr int kMaxInfoDepth = 32;

[[noreturn]] void refuse(const std::filesystem::path& path, const std::string& what) {
  throw Error(ErrorKind::kInput, path.string() + ": " + what);
}

CheckpointInfo read_info(const SafetensorsFile& file) {
  const auto found = file.metadata().find(kInfoKey);
  if (found == file.metadata().end()) refuse(file.path(), "is not a checkpoint of a training run");
  const json value = parse_strict_json(found->second, kMaxInfoDepth, file.path().string());
  try {
    return {value.at("steps_done").get<std::int64_t>(), value.at("seconds").get<double>(), value.at("recipe")};
  } catch (const json::exception& error) {
    refuse(file.path(), "broken checkpoint: " + first_line(error.what()));
  }
}

std::string value_at(const json& value, const json::json_pointer& place) {
  return value.contains(place) ? value.at(place).dump() : "nothing";
}

}  // namespace

json comparable_recipe(const TrainingConfig& config) {
  json recipe = to_json(config);
  for (const auto key : {"output", "device", "validation", "validation_every", "validation_tiles", "checkpoint_every", "device_data_gib"}) {
    recipe.erase(key);
  }
  return recipe;
}

void save_checkpoint(const std::filesystem::path& path, const NamedTensors& tensors, const CheckpointInfo& info) {
  const json value{{"steps_done", info.steps_done}, {"seconds", info.seconds}, {"recipe", info.recipe}};
  write_tensors(path, tensors, {{kInfoKey, value.dump()}});
}

Checkpoint load_checkpoint(const std::filesystem::path& path, const NamedTensors& expected, const json& recipe) {
  const SafetensorsFile file(path);
  Checkpoint checkpoint{{}, read_info(file)};
  const json differences = json::diff(checkpoint.info.recipe, recipe);
  if (!differences.empty()) {
    const auto place = differences[0].at("path").get<std::string>();
    const json::json_pointer pointer(place);
    refuse(path, "was made with " + place.substr(1) + " " + value_at(checkpoint.info.recipe, pointer) + ", the recipe says " +
                     value_at(recipe, pointer) + ": start from the beginning (fovea train --restart), or in another output folder");
  }
  for (const auto& [name, tensor] : expected) {
    const TensorEntry* entry = file.find(name);
    if (!entry) refuse(path, name + ": is missing");
    const bool fits = entry->type == ElementType::kF32 && tensor.sizes() == c10::IntArrayRef(entry->shape);
    if (!fits) refuse(path, name + ": type or shape does not fit the model");
    checkpoint.tensors[name] = read_tensor(file, *entry);
    require_finite(checkpoint.tensors[name], path, name);
  }
  return checkpoint;
}

}  // namespace fovea
