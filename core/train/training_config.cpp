#include "core/train/training_config.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <limits>
#include <string_view>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/model_folder.h"
#include "core/model/strict_json.h"

namespace fovea {
namespace {

using nlohmann::json;

constexpr std::string_view kFormat = "fovea-training/1";
constexpr std::size_t kMaxConfigBytes = 16u << 20;
constexpr int kMaxConfigDepth = 16;

std::string shown(double value) {
  return json(value).dump();
}

// One JSON object being read. Every key is optional here: set() leaves the default where it is absent; need() asks for it.
class Reader {
 public:
  Reader(const json& value, std::string file, std::string key, std::initializer_list<std::string_view> allowed)
      : value_(value), file_(std::move(file)), key_(std::move(key)) {
    if (!value_.is_object()) throw Error(ErrorKind::kUsage, file_ + ": " + (key_.empty() ? "" : key_ + ": ") + "must be an object");
    for (const auto& [name, ignored] : value_.items()) {
      if (allowed.size() != 0 && std::find(allowed.begin(), allowed.end(), name) == allowed.end()) fail(name, "unknown key");
    }
  }

  [[noreturn]] void fail(std::string_view name, const std::string& what) const {
    std::string path = key_.empty() ? std::string(name) : key_ + "." + std::string(name);
    for (char& c : path) if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
    throw Error(ErrorKind::kUsage, file_ + ": " + path + ": " + what);
  }
  const json* find(std::string_view name) const {
    const auto found = value_.find(std::string(name));
    return found == value_.end() ? nullptr : &*found;
  }
  void need(std::string_view name) const {
    if (!find(name)) fail(name, "is missing");
  }
  Reader object(std::string_view name, std::initializer_list<std::string_view> allowed) const {
    return Reader(*find(name), file_, key_.empty() ? std::string(name) : key_ + "." + std::string(name), allowed);
  }
  const json& items() const { return value_; }
  const std::string& file() const { return file_; }

  void set(std::string_view name, std::int64_t& target, std::int64_t low, std::int64_t high) const {
    const json* value = find(name);
    if (!value) return;
    const auto range = "must be an integer from " + std::to_string(low) + " to " + std::to_string(high);
    if (!value->is_number_integer()) fail(name, range);
    if (value->is_number_unsigned() && value->get<std::uint64_t>() > static_cast<std::uint64_t>(high)) fail(name, range);
    const auto number = value->get<std::int64_t>();
    if (number < low || number > high) fail(name, range);
    target = number;
  }
  void set(std::string_view name, double& target, double low, double high) const {
    if (const json* value = find(name)) target = number(name, *value, low, high);
  }
  void set(std::string_view name, std::array<double, 2>& target, double low, double high) const {
    const json* value = find(name);
    if (!value) return;
    const auto what = "must hold two numbers from " + shown(low) + " to " + shown(high);
    if (!value->is_array() || value->size() != 2) fail(name, what);
    for (std::size_t i = 0; i < 2; ++i) {
      if (!(*value)[i].is_number()) fail(name, what);
      target[i] = (*value)[i].get<double>();
      if (!(target[i] >= low && target[i] <= high)) fail(name, what);
    }
  }
  void set(std::string_view name, bool& target) const {
    const json* value = find(name);
    if (!value) return;
    if (!value->is_boolean()) fail(name, "must be true or false");
    target = value->get<bool>();
  }
  void set(std::string_view name, std::string& target) const {
    const json* value = find(name);
    if (!value) return;
    if (!value->is_string() || value->get_ref<const std::string&>().empty()) fail(name, "must be a text that is not empty");
    target = value->get<std::string>();
  }
  double number(std::string_view name, const json& value, double low, double high) const {
    const bool good = value.is_number() && value.get<double>() >= low && value.get<double>() <= high;
    if (!good) fail(name, "must be a number from " + shown(low) + " to " + shown(high));
    return value.get<double>();
  }

 private:
  const json& value_;
  std::string file_, key_;
};

Region parse_region(const Reader& regions, const std::string& name) {
  const json& value = *regions.find(name);
  const std::string what = "must be [left, top, right, bottom], fractions from 0 to 1 with left < right and top < bottom";
  if (!value.is_array() || value.size() != 4) regions.fail(name, what);
  for (const auto& side : value) if (!side.is_number()) regions.fail(name, what);
  const Region region{value[0].get<double>(), value[1].get<double>(), value[2].get<double>(), value[3].get<double>()};
  const bool good = region.left >= 0 && region.top >= 0 && region.left < region.right && region.top < region.bottom && region.right <= 1 &&
                    region.bottom <= 1;
  if (!good) regions.fail(name, what);
  return region;
}

std::vector<DataSource> parse_sources(const Reader& reader, std::string_view key) {
  std::vector<DataSource> sources;
  const json* list = reader.find(key);
  if (!list) return sources;
  if (!list->is_array()) reader.fail(key, "must be a list of {path, only, regions, weight}");
  for (std::size_t i = 0; i < list->size(); ++i) {
    const Reader item((*list)[i], reader.file(), std::string(key) + "[" + std::to_string(i) + "]", {"path", "only", "regions", "weight"});
    item.need("path");
    std::string path;
    item.set("path", path);
    DataSource source{.path = path};
    if (const json* only = item.find("only")) {
      if (!only->is_array() || only->empty()) item.fail("only", "must be a list of names that is not empty");
      for (const auto& name : *only) {
        if (!name.is_string()) item.fail("only", "must be a list of names that is not empty");
        source.only.push_back(name.get<std::string>());
      }
    }
    if (item.find("regions")) {
      const Reader regions = item.object("regions", {});
      for (const auto& [name, ignored] : regions.items().items()) source.regions[name] = parse_region(regions, name);
    }
    item.set("weight", source.weight, 1e-6, 1e6);
    sources.push_back(std::move(source));
  }
  return sources;
}

void parse_optimiser(const Reader& top, OptimiserConfig& optimiser) {
  if (!top.find("optimiser")) return;
  const Reader reader = top.object("optimiser", {"backbone_rate", "rate", "layer_decay", "weight_decay", "betas", "warmup_steps",
                                                 "final_rate", "clip_norm", "ema_decay", "stochastic_depth"});
  reader.set("backbone_rate", optimiser.backbone_rate, 0, 1);
  reader.set("rate", optimiser.rate, 0, 1);
  reader.set("layer_decay", optimiser.layer_decay, 0.01, 1);
  reader.set("weight_decay", optimiser.weight_decay, 0, 1);
  reader.set("betas", optimiser.betas, 0, 0.99999);
  reader.set("warmup_steps", optimiser.warmup_steps, 0, 1 << 24);
  reader.set("final_rate", optimiser.final_rate, 0, 1);
  reader.set("clip_norm", optimiser.clip_norm, 0, 1e6);
  reader.set("ema_decay", optimiser.ema_decay, 0, 0.999999);
  reader.set("stochastic_depth", optimiser.stochastic_depth, 0, 0.9);
}

void parse_loss(const Reader& top, LossConfig& loss) {
  if (!top.find("loss")) return;
  const Reader reader = top.object("loss", {"label_smoothing", "class_weights", "jaccard_weight"});
  reader.set("label_smoothing", loss.label_smoothing, 0, 0.5);
  reader.set("jaccard_weight", loss.jaccard_weight, 0, 1);
  const json* weights = reader.find("class_weights");
  if (!weights) return;
  if (weights->is_array() && !weights->empty()) {
    for (const auto& weight : *weights) loss.class_weights.push_back(reader.number("class_weights", weight, 0, 1000));
  } else if (*weights == "balanced") {
    loss.balanced = true;
  } else if (*weights != "none") {
    reader.fail("class_weights", "must be \"none\", \"balanced\" or a list of numbers");
  }
}

void parse_augmentation(const Reader& top, AugmentationConfig& augmentation) {
  if (!top.find("augmentation")) return;
  const Reader reader =
      top.object("augmentation", {"scale", "flips", "quarter_turns", "brightness", "contrast", "saturation", "channel_gain",
                                  "swap_red_blue"});
  reader.set("scale", augmentation.scale, 0.1, 10);
  if (augmentation.scale[0] > augmentation.scale[1]) reader.fail("scale", "must hold the smaller number first");
  reader.set("flips", augmentation.flips);
  reader.set("quarter_turns", augmentation.quarter_turns);
  reader.set("brightness", augmentation.brightness, 0, 1);
  reader.set("contrast", augmentation.contrast, 0, 1);
  reader.set("saturation", augmentation.saturation, 0, 1);
  reader.set("channel_gain", augmentation.channel_gain, 0, 1);
  reader.set("swap_red_blue", augmentation.swap_red_blue, 0, 1);
}

void parse_run(const Reader& reader, TrainingConfig& config) {
  reader.set("crop", config.crop, 8, 16384);
  reader.set("batch", config.batch, 1, 4096);
  reader.set("steps", config.steps, 1, std::int64_t{1} << 32);
  reader.set("validation_every", config.validation_every, 0, std::int64_t{1} << 32);
  reader.set("validation_tiles", config.validation_tiles, 0, 1 << 24);
  reader.set("checkpoint_every", config.checkpoint_every, 0, std::int64_t{1} << 32);
  std::int64_t seed = static_cast<std::int64_t>(config.seed);
  reader.set("seed", seed, 0, std::numeric_limits<std::int64_t>::max());
  config.seed = static_cast<std::uint64_t>(seed);
  reader.set("device", config.device);
  reader.set("precision", config.precision);
  if (config.precision != "bfloat16" && config.precision != "float32") reader.fail("precision", "must be \"bfloat16\" or \"float32\"");
  reader.set("device_data_gib", config.device_data_gib, 0, 1e6);
}

json sources_json(const std::vector<DataSource>& sources) {
  json list = json::array();
  for (const auto& source : sources) {
    json item{{"path", source.path.string()}};
    if (!source.only.empty()) item["only"] = source.only;
    for (const auto& [name, region] : source.regions) item["regions"][name] = {region.left, region.top, region.right, region.bottom};
    if (source.weight != 1) item["weight"] = source.weight;
    list.push_back(std::move(item));
  }
  return list;
}

json weights_json(const LossConfig& loss) {
  if (loss.balanced) return "balanced";
  return loss.class_weights.empty() ? json("none") : json(loss.class_weights);
}

}  // namespace

TrainingConfig parse_training_config(const json& value, const std::string& name) {
  const Reader reader(value, name, "",
                      {"format", "output", "initial_model", "model", "train", "validation", "crop", "batch", "steps", "validation_every",
                       "validation_tiles", "checkpoint_every", "seed", "device", "precision", "device_data_gib", "optimiser", "loss",
                       "augmentation"});
  for (const auto key : {"format", "output", "train"}) reader.need(key);
  if (*reader.find("format") != kFormat) reader.fail("format", "must be \"" + std::string(kFormat) + "\"");
  TrainingConfig config;
  std::string output;
  reader.set("output", output);
  reader.set("initial_model", config.initial_model);
  config.output = output;
  if (const json* model = reader.find("model")) {
    if (!model->is_object()) reader.fail("model", "must be an object, as in a model's config.json");
    config.model = *model;
  }
  if (config.model.is_null() && config.initial_model.empty()) {
    reader.fail("initial_model", "is missing, and so is model: one of them must say what to train");
  }
  config.train = parse_sources(reader, "train");
  if (config.train.empty()) reader.fail("train", "names no data");
  config.validation = parse_sources(reader, "validation");
  parse_run(reader, config);
  parse_optimiser(reader, config.optimiser);
  parse_loss(reader, config.loss);
  parse_augmentation(reader, config.augmentation);
  return config;
}

TrainingConfig read_training_config(const std::filesystem::path& path) {
  const std::string text = read_text_file(path, kMaxConfigBytes);
  json value;
  try {
    value = parse_strict_json(text, kMaxConfigDepth, path.string());
  } catch (const Error& error) {
    throw Error(ErrorKind::kUsage, error.what());   // there it speaks of models, and this is what the caller typed
  }
  return parse_training_config(value, path.string());
}

ModelConfig model_to_train(const TrainingConfig& config) {
  ModelConfig model;
  if (config.initial_model.empty()) {
    model = parse_model_config(config.model, "model of the recipe");
  } else {
    const auto folder = find_model(config.initial_model);
    const ModelConfig initial = read_model_config(folder);
    if (config.model.is_null()) {
      model = initial;
    } else {
      json merged = to_json(initial);
      if (config.model.contains("classes")) merged["preprocessing"].erase("ground_sampling_distance_m");   // new masks, so new images
      merged.update(config.model);
      // What the weights came from stays true; how well the old model did does not.
      merged["sources"] = initial.sources;
      for (const auto& source : config.model.value("sources", json::array())) merged["sources"].push_back(source);
      merged["training"] = merged["scores"] = json::object();
      if (merged.value("decoder", json()).is_null()) {
        const auto depth = initial.encoder.depth;
        merged["decoder"] = {{"layers", depth > 1 ? json{depth / 2, depth} : json{depth}}, {"width", 128}, {"stem_width", 32}};
      }
      model = parse_model_config(merged, folder.string() + " with model of the recipe");
    }
  }
  if (!model.decoder) {
    throw Error(ErrorKind::kUsage, "model " + model.name + ": has no decoder, and cannot label pixels: give its classes under model");
  }
  return model;
}

json to_json(const TrainingConfig& config) {
  const auto& optimiser = config.optimiser;
  const auto& augmentation = config.augmentation;
  json value{
      {"format", kFormat}, {"output", config.output.string()}, {"train", sources_json(config.train)},
      {"validation", sources_json(config.validation)}, {"crop", config.crop}, {"batch", config.batch}, {"steps", config.steps},
      {"validation_every", config.validation_every}, {"validation_tiles", config.validation_tiles},
      {"checkpoint_every", config.checkpoint_every}, {"seed", config.seed}, {"device", config.device}, {"precision", config.precision},
      {"device_data_gib", config.device_data_gib},
      {"optimiser", {{"backbone_rate", optimiser.backbone_rate}, {"rate", optimiser.rate}, {"layer_decay", optimiser.layer_decay},
                     {"weight_decay", optimiser.weight_decay}, {"betas", optimiser.betas}, {"warmup_steps", optimiser.warmup_steps},
                     {"final_rate", optimiser.final_rate}, {"clip_norm", optimiser.clip_norm}, {"ema_decay", optimiser.ema_decay},
                     {"stochastic_depth", optimiser.stochastic_depth}}},
      {"loss", {{"label_smoothing", config.loss.label_smoothing}, {"class_weights", weights_json(config.loss)},
                {"jaccard_weight", config.loss.jaccard_weight}}},
      {"augmentation", {{"scale", augmentation.scale}, {"flips", augmentation.flips}, {"quarter_turns", augmentation.quarter_turns},
                        {"brightness", augmentation.brightness}, {"contrast", augmentation.contrast},
                        {"saturation", augmentation.saturation}, {"channel_gain", augmentation.channel_gain},
                        {"swap_red_blue", augmentation.swap_red_blue}}}};
  if (!config.initial_model.empty()) value["initial_model"] = config.initial_model;
  if (!config.model.is_null()) value["model"] = config.model;
  return value;
}

}  // namespace fovea
