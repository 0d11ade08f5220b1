#include "core/model/segmentation_model.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <map>
#include <vector>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/host_memory.h"
#include "core/model/model_size.h"
#include "core/model/weights.h"

namespace fovea {
namespace {

constexpr char kConfigFile[] = "config.json";
constexpr char kWeightsFile[] = "model.safetensors";

std::string shape_text(c10::IntArrayRef shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

// The file's tensors against the model's: every one there, none more, each of a type and shape that fits.
void check_tensors(const SafetensorsFile& file, const std::map<std::string, torch::Tensor>& expected) {
  const auto fail = [&](const std::string& name, const std::string& what) {
    throw Error(ErrorKind::kModel, file.path().string() + ": " + name + ": " + what);
  };
  std::map<std::string, const TensorEntry*> found;
  for (const auto& entry : file.entries()) found.emplace(entry.name, &entry);
  for (const auto& [name, tensor] : expected) {
    const auto position = found.find(name);
    if (position == found.end()) fail(name, "is missing");
    const auto& entry = *position->second;
    if (tensor.sizes() != c10::IntArrayRef(entry.shape)) {
      fail(name, "shape " + shape_text(entry.shape) + ", expected " + shape_text(tensor.sizes()));
    }
    if (entry.type != ElementType::kF32 && entry.type != ElementType::kF16 && entry.type != ElementType::kBF16) {
      fail(name, "dtype " + std::string(element_type_name(entry.type)) + ", expected F32, F16 or BF16");
    }
    found.erase(position);
  }
  if (!found.empty()) fail(found.begin()->first, "is not part of the model that config.json describes");
}

std::map<std::string, torch::Tensor> parameters_by_name(const torch::nn::Module& module) {
  std::map<std::string, torch::Tensor> parameters;
  for (const auto& item : module.named_parameters()) parameters.emplace(item.key(), item.value());
  return parameters;
}

bool same_decoder(const ModelConfig& one, const ModelConfig& other) {
  const auto same_name = [](const ClassInfo& a, const ClassInfo& b) { return a.name == b.name; };
  return one.decoder && one.decoder == other.decoder && std::ranges::equal(one.classes, other.classes, same_name);
}

[[noreturn]] void fail_for_memory(const ModelConfig& config, const std::filesystem::path& folder, const char* figures) {
  char text[160];
  std::snprintf(text, sizeof text, figures, parameter_count(config) * sizeof(float) / 1e9, static_cast<double>(available_host_memory()) / 1e9);
  throw Error(ErrorKind::kModel, (folder / kConfigFile).string() + ": " + text + "; close other programs, or take a smaller model");
}

// Parameters are allocated before the file is looked at, but not touched.
std::shared_ptr<SegmentationModel> allocate_model(const ModelConfig& config, const std::filesystem::path& folder) {
  try {
    return std::make_shared<SegmentationModel>(config, Initialisation::kNone);
  } catch (const c10::Error&) {
    fail_for_memory(config, folder, "its weights need %.2f GB of memory, which this process cannot get (%.2f GB are available)");
  }
}

// Before they are touched: beyond its memory the system ends programs without a word.
void require_memory(const ModelConfig& config, const std::filesystem::path& folder) {
  if (parameter_count(config) * sizeof(float) <= static_cast<double>(available_host_memory())) return;
  fail_for_memory(config, folder, "its weights need %.2f GB of memory, but only %.2f GB are available");
}

void digest_file(EVP_MD_CTX* context, const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error(ErrorKind::kModel, path.string() + ": cannot be read");
  std::vector<char> buffer(1u << 20);
  while (file) {
    file.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
    require(EVP_DigestUpdate(context, buffer.data(), static_cast<std::size_t>(file.gcount())) == 1, "SHA-256 failed");
  }
  if (!file.eof()) throw Error(ErrorKind::kModel, path.string() + ": could not be read to its end");
}

}  // namespace

SegmentationModel::SegmentationModel(const ModelConfig& config, Initialisation initialisation) : config_(config) {
  encoder_ = register_module("encoder", std::make_shared<Encoder>(config.encoder));
  if (config.decoder) {
    const DecoderShape shape{.encoder_width = config.encoder.width, .patch = config.encoder.patch,
                             .classes = static_cast<std::int64_t>(config.classes.size())};
    decoder_ = register_module("decoder", std::make_shared<Decoder>(*config.decoder, shape));
  }
  if (initialisation == Initialisation::kNone) return;
  encoder_->initialise();
  if (decoder_) decoder_->initialise();
}

torch::Tensor SegmentationModel::forward(const torch::Tensor& images) {
  require(decoder_ != nullptr, "SegmentationModel::forward: this model is a backbone without a decoder");
  const auto pixels = preprocess(images);
  const auto global = config_.encoder.global_tokens;
  auto features = encoder_->forward(pixels, decoder_->config().layers);
  for (auto& feature : features) feature = feature.narrow(1, global, feature.size(1) - global);
  const auto logits = decoder_->forward(features, pixels);
  return logits.narrow(2, 0, images.size(2)).narrow(3, 0, images.size(3)).to(torch::kFloat32);
}

torch::Tensor SegmentationModel::preprocess(const torch::Tensor& images) const {
  require(images.dim() == 4 && images.size(1) == 3 && images.size(2) > 0 && images.size(3) > 0, "images must be [B, 3, H, W], none empty");
  const auto rgb = images.to(device(), torch::kFloat32);
  const auto constants = [&](const std::array<double, 3>& values) {
    return torch::tensor({values[0] * 255, values[1] * 255, values[2] * 255}, rgb.options()).view({1, 3, 1, 1});
  };
  const auto normalised = (rgb - constants(config_.preprocessing.mean)) / constants(config_.preprocessing.deviation);
  const auto missing = [patch = config_.encoder.patch](std::int64_t extent) { return (patch - extent % patch) % patch; };
  const auto padded = at::replication_pad2d(normalised, {0, missing(rgb.size(3)), 0, missing(rgb.size(2))});
  return padded.to(dtype());
}

torch::Dtype SegmentationModel::dtype() const { return encoder_->parameters().front().scalar_type(); }
torch::Device SegmentationModel::device() const { return encoder_->parameters().front().device(); }

std::shared_ptr<SegmentationModel> load_model(const std::filesystem::path& folder, torch::Device device, torch::Dtype dtype) {
  const auto model = allocate_model(read_model_config(folder), folder);
  const SafetensorsFile file(folder / kWeightsFile);
  const auto parameters = parameters_by_name(*model);
  check_tensors(file, parameters);
  require_memory(model->config(), folder);
  torch::NoGradGuard no_grad;
  for (auto [name, parameter] : parameters) {
    const auto stored = read_tensor(file, *file.find(name));
    require_finite(stored, file.path(), name);
    parameter.copy_(stored);
  }
  model->to(device, dtype);
  model->eval();
  return model;
}

std::shared_ptr<SegmentationModel> start_from(const ModelConfig& config, SegmentationModel& initial) {
  auto model = std::make_shared<SegmentationModel>(config);
  auto target = parameters_by_name(*model), source = parameters_by_name(initial);
  if (!same_decoder(config, initial.config())) {
    const auto of_decoder = [](const auto& item) { return !item.first.starts_with("encoder."); };
    std::erase_if(target, of_decoder);
    std::erase_if(source, of_decoder);
  }
  const auto fail = [&](const std::string& name, const std::string& what) {
    throw Error(ErrorKind::kModel, initial.config().name + ": " + name + ": " + what);
  };
  for (const auto& [name, ignored] : source) if (!target.contains(name)) fail(name, "has no place in the new model");
  torch::NoGradGuard no_grad;
  for (auto [name, parameter] : target) {
    const auto found = source.find(name);
    if (found == source.end()) fail(name, "is missing");
    if (found->second.sizes() != parameter.sizes()) {
      fail(name, "shape " + shape_text(found->second.sizes()) + ", expected " + shape_text(parameter.sizes()));
    }
    parameter.copy_(found->second);
  }
  return model;
}

void save_model(SegmentationModel& model, const std::filesystem::path& folder, torch::Dtype weight_dtype) {
  std::error_code code;
  std::filesystem::create_directories(folder, code);
  if (code) throw Error(ErrorKind::kEnvironment, folder.string() + ": cannot create: " + code.message());
  auto tensors = parameters_by_name(model);
  for (auto& [name, tensor] : tensors) {
    tensor = tensor.detach().to(weight_dtype);
    require_finite(tensor, folder / kWeightsFile, name);   // float16 overflows where float32 did not
  }
  write_tensors(folder / kWeightsFile, tensors);
  write_file_atomically(folder / kConfigFile, to_json(model.config()).dump(2) + "\n");
}

std::string model_hash(const std::filesystem::path& folder) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  require(context && EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) == 1, "SHA-256 is not available");
  digest_file(context.get(), folder / kConfigFile);
  digest_file(context.get(), folder / kWeightsFile);
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  require(EVP_DigestFinal_ex(context.get(), digest.data(), &size) == 1, "SHA-256 failed");
  std::string hex;
  for (unsigned int i = 0; i < size; ++i) for (const int nibble : {digest[i] >> 4, digest[i] & 15}) hex += "0123456789abcdef"[nibble];
  return hex;
}

}  // namespace fovea
