#include "core/model/config.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <set>
#include <string_view>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/model/strict_json.h"

namespace fovea {
namespace {

using nlohmann::json;

constexpr std::string_view kFormatName = "fovea-model/";
constexpr std::string_view kFormatVersion = "1";
constexpr std::size_t kMaxConfigBytes = 16u << 20;
constexpr int kMaxConfigDepth = 32;
constexpr std::int64_t kMaxHeadDim = 256;          // of the attention operator
constexpr std::int64_t kMaxClasses = 255;          // a class is a byte in a mask, and one value stays free for "ignore"

// One JSON object being read: knows where it stands in the file, so that every complaint names its key.
class Reader {
 public:
  Reader(const json& value, std::string file, std::string key) : value_(value), file_(std::move(file)), key_(std::move(key)) {
    if (!value_.is_object()) fail("must be an object");
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ErrorKind::kModel, file_ + ": " + (key_.empty() ? "" : key_ + ": ") + what);
  }
  [[noreturn]] void fail(std::string_view name, const std::string& what) const {
    throw Error(ErrorKind::kModel, file_ + ": " + path(name) + ": " + what);
  }

  void allow_only(std::initializer_list<std::string_view> names) const {
    for (const auto& [name, ignored] : value_.items()) {
      if (std::find(names.begin(), names.end(), name) == names.end()) fail(printable(name), "unknown key");
    }
  }
  bool has(std::string_view name) const { return value_.contains(name); }
  const json& at(std::string_view name) const {
    if (!has(name)) fail(name, "is missing");
    return value_[std::string(name)];
  }
  Reader object(std::string_view name) const { return Reader(at(name), file_, path(name)); }
  Reader element(std::string_view name, std::size_t index) const {
    return Reader(at(name)[index], file_, path(name) + "[" + std::to_string(index) + "]");
  }

  std::int64_t integer(std::string_view name, std::int64_t low, std::int64_t high) const { return integer_of(at(name), name, low, high); }
  std::vector<std::int64_t> integers(std::string_view name, std::int64_t low, std::int64_t high) const {
    std::vector<std::int64_t> values;
    for (const auto& value : list(name)) values.push_back(integer_of(value, name, low, high));
    return values;
  }
  std::array<std::int64_t, 2> pair(std::string_view name, std::int64_t low, std::int64_t high) const {
    const auto values = integers(name, low, high);
    if (values.size() != 2) fail(name, "must hold two integers");
    return {values[0], values[1]};
  }
  double number(std::string_view name) const { return number_of(at(name), name); }
  std::vector<double> numbers(std::string_view name) const {
    std::vector<double> values;
    for (const auto& value : list(name)) values.push_back(number_of(value, name));
    return values;
  }
  std::array<double, 3> three_numbers(std::string_view name) const {
    const auto values = numbers(name);
    if (values.size() != 3) fail(name, "must hold three numbers");
    return {values[0], values[1], values[2]};
  }
  std::string text(std::string_view name) const {
    if (!at(name).is_string()) fail(name, "must be a text");
    return at(name).get<std::string>();
  }
  bool flag(std::string_view name) const {
    if (!at(name).is_boolean()) fail(name, "must be true or false");
    return at(name).get<bool>();
  }
  const json& list(std::string_view name) const {
    if (!at(name).is_array()) fail(name, "must be a list");
    return at(name);
  }

 private:
  std::string path(std::string_view name) const { return key_.empty() ? std::string(name) : key_ + "." + std::string(name); }

  std::int64_t integer_of(const json& value, std::string_view name, std::int64_t low, std::int64_t high) const {
    const auto range = "must be an integer from " + std::to_string(low) + " to " + std::to_string(high);
    if (!value.is_number_integer()) fail(name, range);
    if (value.is_number_unsigned() && value.get<std::uint64_t>() > static_cast<std::uint64_t>(high)) fail(name, range);
    const auto result = value.get<std::int64_t>();
    if (result < low || result > high) fail(name, range);
    return result;
  }
  double number_of(const json& value, std::string_view name) const {
    if (!value.is_number() || !std::isfinite(value.get<double>())) fail(name, "must be a finite number");
    return value.get<double>();
  }

  const json& value_;
  std::string file_, key_;
};

// "dense", or {"window": [height, width], "dilation": [one, or one a head]}.
LayerAttention parse_layer_attention(const Reader& encoder, std::size_t layer, std::int64_t heads) {
  LayerAttention attention;
  const auto& value = encoder.at("attention")[layer];
  if (value == "dense") {
    attention.dense = true;
    return attention;
  }
  if (!value.is_object()) {
    encoder.fail("attention[" + std::to_string(layer) + "]", "must be \"dense\" or an object with window and dilation");
  }
  const Reader reader = encoder.element("attention", layer);
  reader.allow_only({"window", "dilation"});
  attention.window = reader.pair("window", 1, 1 << 20);
  for (const auto extent : attention.window) if (extent % 2 == 0) reader.fail("window", std::to_string(extent) + " is even, must be odd");
  attention.dilation = reader.integers("dilation", 1, 1 << 20);
  const auto count = static_cast<std::int64_t>(attention.dilation.size());
  if (count != 1 && count != heads) {
    reader.fail("dilation", std::to_string(count) + " entries, expected 1 or one for each of " + std::to_string(heads) + " heads");
  }
  return attention;
}

void parse_positions(const Reader& reader, EncoderConfig& encoder) {
  const auto kind = reader.text("kind");
  if (kind == "learned") {
    reader.allow_only({"kind", "grid"});
    encoder.positions = Positions::kLearned;
    encoder.position_grid = reader.pair("grid", 1, 4096);
  } else if (kind == "rope") {
    reader.allow_only({"kind", "base"});
    encoder.positions = Positions::kRope;
    encoder.rope_base = reader.number("base");
    if (encoder.rope_base <= 1) reader.fail("base", "must be above 1");
    if (encoder.head_dim() % 4 != 0) {
      reader.fail("kind", "rope needs a width per head that is a multiple of 4, not " + std::to_string(encoder.head_dim()));
    }
  } else {
    reader.fail("kind", "must be \"learned\" or \"rope\"");
  }
}

EncoderConfig parse_encoder(const Reader& reader) {
  reader.allow_only({"width", "depth", "heads", "mlp_width", "patch", "global_tokens", "positions", "layer_norm_eps", "layer_scale",
                     "attention"});
  EncoderConfig encoder;
  encoder.width = reader.integer("width", 1, 16384);
  encoder.depth = reader.integer("depth", 1, 256);
  encoder.heads = reader.integer("heads", 1, 256);
  if (encoder.width % encoder.heads != 0) {
    reader.fail("heads", std::to_string(encoder.heads) + " does not divide width " + std::to_string(encoder.width));
  }
  if (encoder.head_dim() > kMaxHeadDim) {
    const auto found = std::to_string(encoder.head_dim()), most = std::to_string(kMaxHeadDim);
    reader.fail("heads", "width per head is " + found + ", at most " + most + " is supported");
  }
  encoder.mlp_width = reader.integer("mlp_width", 1, 65536);
  encoder.patch = reader.integer("patch", 4, 256);
  encoder.global_tokens = reader.integer("global_tokens", 0, 64);
  parse_positions(reader.object("positions"), encoder);
  encoder.layer_norm_eps = reader.number("layer_norm_eps");
  if (encoder.layer_norm_eps <= 0) reader.fail("layer_norm_eps", "must be above 0");
  encoder.layer_scale = reader.flag("layer_scale");
  const auto layers = reader.list("attention").size();
  if (static_cast<std::int64_t>(layers) != encoder.depth) {
    reader.fail("attention", std::to_string(layers) + " entries, expected one for each of " + std::to_string(encoder.depth) + " layers");
  }
  for (std::size_t layer = 0; layer < layers; ++layer) {
    encoder.attention.push_back(parse_layer_attention(reader, layer, encoder.heads));
  }
  return encoder;
}

DecoderConfig parse_decoder(const Reader& reader, const EncoderConfig& encoder) {
  reader.allow_only({"layers", "width", "stem_width"});
  DecoderConfig decoder;
  decoder.layers = reader.integers("layers", 1, encoder.depth);
  if (decoder.layers.empty()) reader.fail("layers", "must name at least one layer");
  if (!std::is_sorted(decoder.layers.begin(), decoder.layers.end(), std::less_equal<>())) reader.fail("layers", "must rise");
  decoder.width = reader.integer("width", 1, 4096);
  decoder.stem_width = reader.integer("stem_width", 1, 1024);
  return decoder;
}

constexpr const char* kPixelSizes = "ground_sampling_distance_m";

// One number, or the smallest and the largest.
PixelSizes parse_pixel_sizes(const Reader& reader) {
  PixelSizes sizes;
  if (reader.at(kPixelSizes).is_array()) {
    const std::vector<double> ends = reader.numbers(kPixelSizes);
    if (ends.size() != 2) reader.fail(kPixelSizes, "must be a number, or the smallest and the largest");
    sizes = {ends[0], ends[1]};
  } else {
    sizes.smallest = sizes.largest = reader.number(kPixelSizes);
  }
  if (sizes.smallest <= 0) reader.fail(kPixelSizes, "must be above 0");
  if (sizes.smallest > sizes.largest) reader.fail(kPixelSizes, "must hold the smaller number first");
  return sizes;
}

Preprocessing parse_preprocessing(const Reader& reader) {
  reader.allow_only({"mean", "deviation", kPixelSizes});
  Preprocessing preprocessing;
  preprocessing.mean = reader.three_numbers("mean");
  preprocessing.deviation = reader.three_numbers("deviation");
  for (const double value : preprocessing.deviation) if (value <= 0) reader.fail("deviation", "must be above 0");
  if (reader.has(kPixelSizes)) preprocessing.ground_sampling_distance_m = parse_pixel_sizes(reader);
  return preprocessing;
}

std::vector<ClassInfo> parse_classes(const Reader& root) {
  std::vector<ClassInfo> classes;
  std::set<std::string> names;
  const auto count = root.list("classes").size();
  if (count > static_cast<std::size_t>(kMaxClasses)) root.fail("classes", std::to_string(count) + " classes, at most 255 are supported");
  for (std::size_t i = 0; i < count; ++i) {
    const Reader reader = root.element("classes", i);
    reader.allow_only({"name", "colour"});
    ClassInfo info;
    info.name = reader.text("name");
    if (info.name.empty()) reader.fail("name", "is empty");
    if (!names.insert(info.name).second) reader.fail("name", "\"" + info.name + "\" appears twice");
    const auto colour = reader.integers("colour", 0, 255);
    if (colour.size() != 3) reader.fail("colour", "must hold red, green and blue");
    for (std::size_t c = 0; c < 3; ++c) info.colour[c] = static_cast<std::uint8_t>(colour[c]);
    classes.push_back(std::move(info));
  }
  return classes;
}

void check_format(const Reader& root) {
  const auto format = root.text("format");
  if (!format.starts_with(kFormatName)) root.fail("format", "must be \"fovea-model/1\"");
  if (format.substr(kFormatName.size()) != kFormatVersion) {
    root.fail("format", "this is a model of format \"" + printable(format) +
                            "\", and this program reads \"fovea-model/1\": a newer Fovea may read it");
  }
}

json attention_to_json(const LayerAttention& attention) {
  if (attention.dense) return "dense";
  return {{"window", attention.window}, {"dilation", attention.dilation}};
}

json encoder_to_json(const EncoderConfig& encoder) {
  json result{{"width", encoder.width}, {"depth", encoder.depth}, {"heads", encoder.heads}, {"mlp_width", encoder.mlp_width},
              {"patch", encoder.patch}, {"global_tokens", encoder.global_tokens}, {"layer_norm_eps", encoder.layer_norm_eps},
              {"layer_scale", encoder.layer_scale}, {"attention", json::array()}};
  if (encoder.positions == Positions::kLearned) result["positions"] = {{"kind", "learned"}, {"grid", encoder.position_grid}};
  else result["positions"] = {{"kind", "rope"}, {"base", encoder.rope_base}};
  for (const auto& attention : encoder.attention) result["attention"].push_back(attention_to_json(attention));
  return result;
}

}  // namespace

ModelConfig parse_model_config(const nlohmann::json& json, const std::string& name_for_errors) {
  const Reader root(json, name_for_errors, "");
  check_format(root);   // before the keys: another version may have others
  root.allow_only({"format", "name", "description", "encoder", "decoder", "preprocessing", "classes", "ignore_index", "sources", "training",
                   "scores"});
  ModelConfig config;
  config.name = root.text("name");
  config.description = root.text("description");
  config.encoder = parse_encoder(root.object("encoder"));
  if (root.has("decoder")) config.decoder = parse_decoder(root.object("decoder"), config.encoder);
  config.preprocessing = parse_preprocessing(root.object("preprocessing"));
  config.classes = parse_classes(root);
  if (config.decoder && config.classes.empty()) root.fail("classes", "is empty, and a model with a decoder needs at least one class");
  if (!config.decoder && !config.classes.empty()) root.fail("classes", "must be empty: the model has no decoder");
  config.ignore_index = root.integer("ignore_index", 0, 255);
  if (config.ignore_index < static_cast<std::int64_t>(config.classes.size())) {
    const auto& name = config.classes[static_cast<std::size_t>(config.ignore_index)].name;
    root.fail("ignore_index", std::to_string(config.ignore_index) + " is the index of class \"" + name + "\"");
  }
  config.sources = root.list("sources");
  config.training = root.at("training");
  config.scores = root.at("scores");
  if (!config.training.is_object()) root.fail("training", "must be an object");
  if (!config.scores.is_object()) root.fail("scores", "must be an object");
  return config;
}

ModelConfig read_model_config(const std::filesystem::path& folder) {
  const auto path = folder / "config.json";
  std::error_code code;
  if (!std::filesystem::is_directory(folder, code)) throw Error(ErrorKind::kModel, folder.string() + ": no such model folder");
  if (!std::filesystem::exists(path, code)) {
    const bool foreign = std::filesystem::exists(folder / "model.safetensors", code);
    throw Error(ErrorKind::kModel, path.string() + ": no such file, so this is not a model folder" +
                                       (foreign ? " (fovea import makes one of foreign weights)" : ""));
  }
  try {
    return parse_model_config(parse_strict_json(read_text_file(path, kMaxConfigBytes), kMaxConfigDepth, path.string()), path.string());
  } catch (const Error& error) {
    throw Error(ErrorKind::kModel, error.what());   // a file that cannot be read is a fault of the model, not of an input
  }
}

nlohmann::json to_json(const ModelConfig& config) {
  json result{{"format", std::string(kFormatName) + std::string(kFormatVersion)}, {"name", config.name},
              {"description", config.description}, {"encoder", encoder_to_json(config.encoder)}, {"classes", json::array()},
              {"ignore_index", config.ignore_index}, {"sources", config.sources}, {"training", config.training}, {"scores", config.scores}};
  if (config.decoder) {
    const auto& decoder = *config.decoder;
    result["decoder"] = {{"layers", decoder.layers}, {"width", decoder.width}, {"stem_width", decoder.stem_width}};
  }
  result["preprocessing"] = {{"mean", config.preprocessing.mean}, {"deviation", config.preprocessing.deviation}};
  if (const auto& sizes = config.preprocessing.ground_sampling_distance_m) {
    const bool one = sizes->smallest == sizes->largest;
    result["preprocessing"][kPixelSizes] = one ? json(sizes->smallest) : json{sizes->smallest, sizes->largest};
  }
  for (const auto& info : config.classes) result["classes"].push_back({{"name", info.name}, {"colour", info.colour}});
  return result;
}

}  // namespace fovea
