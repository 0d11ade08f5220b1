#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <torch/cuda.h>
#include <torch/version.h>

#include <cstdio>
#include <filesystem>

#include "app/cli/commands.h"
#include "app/cli/info_image.h"
#include "app/cli/info_rows.h"
#include "app/cli/run.h"
#include "core/attention/local_global_attention.h"
#include "core/base/model_folder.h"
#include "core/base/torch_runtime.h"
#include "core/model/segmentation_model.h"

namespace fovea::cli {
namespace {

void print_devices() {
  const std::string& reason = load_torch_cuda();
  if (!reason.empty()) return print_row("GPU", "none: " + reason);
  for (std::size_t i = 0; i < static_cast<std::size_t>(torch::cuda::device_count()); ++i) print_row("GPU", "cuda:" + std::to_string(i));
}

void print_program() {
  print_row("fovea", FOVEA_VERSION);
  print_row("CPU", at::get_cpu_capability() + ", " + std::to_string(torch::get_num_threads()) + " threads");
  print_devices();
  for (const BackendStatus& backend : attention_backends()) {
    print_row("attention", backend.name + (backend.unavailable_reason.empty() ? "" : ": " + backend.unavailable_reason));
  }
  print_row("torch", TORCH_VERSION);
  for (const LibraryVersion& library : image_library_versions()) print_row(library.name.c_str(), library.version);
  for (const auto& folder : model_search_path()) print_row("models in", folder.string());
}

std::string attention_text(const LayerAttention& attention) {
  if (attention.dense) return "dense";
  std::string text = "window " + std::to_string(attention.window[0]) + "x" + std::to_string(attention.window[1]) + ", dilation";
  for (const std::int64_t dilation : attention.dilation) text += " " + std::to_string(dilation);
  return text;
}

void print_layers(const EncoderConfig& encoder) {
  for (std::size_t first = 0; first < encoder.attention.size();) {
    std::size_t last = first;
    while (last + 1 < encoder.attention.size() && encoder.attention[last + 1] == encoder.attention[first]) ++last;
    const std::string layers = std::to_string(first + 1) + (last > first ? "-" + std::to_string(last + 1) : "");
    print_row("layers", layers + ": " + attention_text(encoder.attention[first]));
    first = last + 1;
  }
}

// What a model was made from, as config.json tells it: free text under three usual keys, and whatever else is there.
std::string source_text(const nlohmann::json& source) {
  const auto text = [&](const char* key) {
    return source.is_object() && source.contains(key) && source[key].is_string() ? source[key].get<std::string>() : std::string();
  };
  const std::string what = text("what"), licence = text("licence"), from = text("from");
  if (what.empty()) return source.dump();
  return what + (licence.empty() ? "" : "; " + licence) + (from.empty() ? "" : "; from " + from);
}

void print_score(const std::string& name, const nlohmann::json& score) {
  const bool known = score.is_object() && score.contains("mean_iou") && score["mean_iou"].is_number();
  if (!known) return print_row("score", name + ": " + score.dump());
  char number[32];
  std::snprintf(number, sizeof number, "%.3f", score["mean_iou"].get<double>());
  std::string text = name + ": mean IoU " + number;
  const nlohmann::json by_class = score.value("iou", nlohmann::json::object());
  for (const auto& [label, iou] : by_class.items()) {
    if (!iou.is_number()) continue;
    std::snprintf(number, sizeof number, " %.3f", iou.get<double>());
    text += ", " + label + number;
  }
  print_row("score", text);
}

std::string pixel_sizes_text(const PixelSizes& sizes) {
  char text[80];
  if (sizes.smallest == sizes.largest) std::snprintf(text, sizeof text, "%.4g m a pixel", sizes.smallest);
  else std::snprintf(text, sizeof text, "%.4g to %.4g m a pixel", sizes.smallest, sizes.largest);
  return text;
}

void print_model(const std::filesystem::path& folder) {
  const auto model = load_model(folder);   // the whole check: weights that do not fit the config are an error here too
  const ModelConfig& config = model->config();
  std::int64_t parameters = 0;
  for (const auto& parameter : model->parameters()) parameters += parameter.numel();
  print_row("model", config.name);
  if (!config.description.empty()) print_row("description", config.description);
  print_row("folder", folder.string());
  print_row("parameters", std::to_string(parameters));
  print_row("encoder", std::to_string(config.encoder.depth) + " layers of " + std::to_string(config.encoder.width) + " channels, " +
                           std::to_string(config.encoder.heads) + " heads, patch " + std::to_string(config.encoder.patch) + ", " +
                           std::to_string(config.encoder.global_tokens) + " global tokens, " +
                           (config.encoder.positions == Positions::kRope ? "rotary" : "learned") + " positions");
  print_layers(config.encoder);
  if (!config.decoder) print_row("decoder", "none: a backbone");
  for (std::size_t i = 0; i < config.classes.size(); ++i) print_row("class", std::to_string(i) + " " + config.classes[i].name);
  if (const auto& sizes = config.preprocessing.ground_sampling_distance_m) print_row("trained at", pixel_sizes_text(*sizes));
  for (const auto& source : config.sources) print_row("source", source_text(source));
  for (const auto& [name, score] : config.scores.items()) print_score(name, score);
  print_row("sha256", model_hash(folder));
}

bool is_model_name(const std::string& subject) {
  std::error_code code;
  if (std::filesystem::is_directory(subject, code)) return true;
  return !std::filesystem::exists(subject, code) && subject.find('.') == std::string::npos;
}

}  // namespace

int run_info(const InfoRequest& request, const CommonOptions&, const std::stop_token&) {
  if (request.subject.empty()) print_program();
  else if (is_model_name(request.subject)) print_model(find_model(request.subject));
  else print_image(request.subject);
  return kExitDone;
}

}  // namespace fovea::cli
