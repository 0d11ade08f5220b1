#include "core/model/import.h"

#include <cmath>
#include <map>

#include "core/base/error.h"
#include "core/base/torch.h"
#include "core/model/import_source.h"
#include "core/model/segmentation_model.h"

namespace fovea {
namespace {

constexpr std::int64_t kUsualHeadDim = 64;
constexpr double kNewTokenDeviation = 0.02;

using Weights = std::map<std::string, torch::Tensor>;   // by the names of Encoder's parameters

// Tokens and positions in the shapes of Encoder.
struct Tokens {
  torch::Tensor global;      // [G, C], the class token's position added
  torch::Tensor positions;   // [h * w, C]
  std::int64_t grid = 0;     // h = w
};

void require_usage(bool condition, const std::string& message) {
  if (!condition) throw Error(ErrorKind::kUsage, message);
}

std::int64_t exact_root(std::int64_t square) {
  const auto root = std::llround(std::sqrt(static_cast<double>(square)));
  return root * root == square ? root : 0;
}

// Positions come as [1, h * w, C], or with one more in front for the class token.
Tokens take_tokens(ImportSource& source) {
  const auto& layout = source.layout();
  auto class_token = source.take(std::string(layout.class_token)).flatten(0, -2);
  const auto stored = source.take(std::string(layout.positions)).flatten(0, -2);
  const auto count = stored.size(0);
  Tokens tokens{.global = class_token, .positions = stored, .grid = exact_root(count)};
  if (tokens.grid == 0) {
    tokens.grid = exact_root(count - 1);
    if (tokens.grid == 0) {
      throw Error(ErrorKind::kModel, source.path().string() + ": " + std::string(layout.positions) + ": " + std::to_string(count) +
                                         " positions are no square grid, with or without one for the class token");
    }
    tokens.global = class_token + stored.narrow(0, 0, 1);
    tokens.positions = stored.narrow(0, 1, count - 1);
  }
  if (source.has(std::string(layout.registers))) {
    tokens.global = torch::cat({tokens.global, source.take(std::string(layout.registers)).flatten(0, -2)});
  }
  return tokens;
}

// kernels [C, 3, p, p] -> [C, 3, size, size]. With B the matrix that resizes a patch, <new, B x> = <old, x> for all x means B' new = old.
torch::Tensor resample_kernels(const torch::Tensor& kernels, std::int64_t size) {
  const auto old_size = kernels.size(-1);
  if (old_size == size) return kernels;
  const auto basis = torch::eye(old_size * old_size, torch::kFloat64).view({-1, 1, old_size, old_size});
  const auto resize_transposed = at::_upsample_bilinear2d_aa(basis, {size, size}, /*align_corners=*/false).flatten(1);
  const auto solve = torch::linalg_pinv(resize_transposed, 1e-12, /*hermitian=*/false);   // [size^2, old_size^2]
  const auto resampled = torch::matmul(kernels.to(torch::kFloat64).flatten(2), solve.t());
  return resampled.view({kernels.size(0), kernels.size(1), size, size}).to(torch::kFloat32);
}

torch::Tensor with_new_tokens(const torch::Tensor& global, std::int64_t count, std::uint64_t seed) {
  auto generator = at::detail::createCPUGenerator(seed);
  const auto noise = torch::empty({count - global.size(0), global.size(1)}).normal_(0, kNewTokenDeviation, generator);
  return torch::cat({global, noise});
}

Weights take_weights(ImportSource& source, const ModelConfig& config) {
  const auto& layout = source.layout();
  Weights weights;
  const auto affine = [&](const std::string& ours, const std::string& theirs) {
    for (const char* part : {".weight", ".bias"}) weights[ours + part] = source.take(theirs + part);
  };
  affine("norm", std::string(layout.norm));
  for (std::int64_t layer = 0; layer < config.encoder.depth; ++layer) {
    const auto ours = "blocks." + std::to_string(layer) + ".", theirs = std::string(layout.blocks) + std::to_string(layer) + ".";
    for (const auto& [our_part, their_part] : layout.affine) affine(ours + std::string(our_part), theirs + std::string(their_part));
    for (const char* part : {".weight", ".bias"}) {
      std::vector<torch::Tensor> rows;
      for (const auto name : layout.qkv) rows.push_back(source.take(theirs + std::string(name) + part));
      weights[ours + "attention.qkv" + part] = torch::cat(rows);
    }
    if (!config.encoder.layer_scale) continue;
    weights[ours + "scale1"] = source.take(theirs + std::string(layout.scales[0]));
    weights[ours + "scale2"] = source.take(theirs + std::string(layout.scales[1]));
  }
  return weights;
}

// What the shapes of the source and the options say about the encoder.
ModelConfig describe(const ImportSource& source, const Tokens& tokens, const torch::Tensor& kernels, std::int64_t mlp_width,
                     const ImportOptions& options) {
  ModelConfig config;
  auto& encoder = config.encoder;
  encoder.width = kernels.size(0);
  encoder.depth = source.count_blocks();
  encoder.mlp_width = mlp_width;
  encoder.patch = options.patch.value_or(kernels.size(-1));
  encoder.global_tokens = options.global_tokens.value_or(tokens.global.size(0));
  encoder.positions = options.positions == ImportedPositions::kMeanAndRope ? Positions::kRope : Positions::kLearned;
  encoder.position_grid = {tokens.grid, tokens.grid};
  encoder.rope_base = options.rope_base;
  encoder.layer_scale = source.has(std::string(source.layout().blocks) + "0." + std::string(source.layout().scales[0]));
  encoder.heads = std::max<std::int64_t>(1, encoder.width / kUsualHeadDim);
  source.read_settings(encoder.heads, config);
  encoder.heads = options.heads.value_or(encoder.heads);
  LayerAttention attention{.dense = !options.window};
  if (options.window) attention.window = *options.window;
  encoder.attention.assign(static_cast<std::size_t>(encoder.depth), attention);
  config.name = options.name;
  config.description = "Backbone without decoder, imported from a " + std::string(source.layout().title) + ".";
  config.sources.push_back({{"what", "encoder weights"}, {"from", source.path().filename().string()}, {"licence", options.licence}});
  return config;
}

void fill(Encoder& encoder, const Weights& weights, const std::filesystem::path& source) {
  torch::NoGradGuard no_grad;
  for (auto& item : encoder.named_parameters()) {
    const auto& weight = weights.at(item.key());
    if (weight.sizes() != item.value().sizes()) {
      const auto subject = source.string() + ": the tensor for encoder." + item.key();
      throw Error(ErrorKind::kModel, subject + " has a shape that does not fit the others");
    }
    item.value().copy_(weight);
  }
}

ImportReport convert(ImportSource& source, const std::filesystem::path& output, const ImportOptions& options) {
  const auto& layout = source.layout();
  const auto tokens = take_tokens(source);
  const auto kernels = source.take(std::string(layout.patch) + ".weight");
  if (kernels.dim() != 4 || kernels.size(1) != 3 || kernels.size(2) != kernels.size(3)) {
    throw Error(ErrorKind::kModel, source.path().string() + ": " + std::string(layout.patch) + ".weight: must be [width, 3, patch, patch]");
  }
  const auto mlp_width = source.take(std::string(layout.blocks) + "0.mlp.fc1.bias").size(0);
  auto config = describe(source, tokens, kernels, mlp_width, options);
  if (config.name.empty()) config.name = (output / "").parent_path().filename().string();
  require_usage(config.encoder.global_tokens >= tokens.global.size(0),
                source.path().string() + ": has " + std::to_string(tokens.global.size(0)) + " global tokens, and fewer were asked for");
  try {
    parse_model_config(to_json(config), "");
  } catch (const Error& error) {   // options or a source that make no valid model
    throw Error(ErrorKind::kUsage, source.path().string() + error.what());
  }

  auto weights = take_weights(source, config);
  weights["patch.weight"] = resample_kernels(kernels, config.encoder.patch);
  weights["patch.bias"] = source.take(std::string(layout.patch) + ".bias");
  weights["global_tokens"] = with_new_tokens(tokens.global, config.encoder.global_tokens, options.seed);
  if (config.encoder.positions == Positions::kRope) weights["patch.bias"] = weights["patch.bias"] + tokens.positions.mean(0);
  else weights["positions"] = tokens.positions;

  ImportReport report{.layout = std::string(layout.title), .left_out = source.left_out()};
  SegmentationModel model(config, Initialisation::kNone);
  fill(model.encoder(), weights, source.path());
  for (const auto& parameter : model.parameters()) report.parameters += parameter.numel();
  save_model(model, output, torch::kFloat32);
  return report;
}

}  // namespace

ImportReport import_model(const std::filesystem::path& source_path, const std::filesystem::path& output, const ImportOptions& options) {
  ImportSource source(source_path);
  try {
    return convert(source, output, options);
  } catch (const c10::Error& error) {   // tensors whose shapes do not go together
    throw Error(ErrorKind::kModel, source.path().string() + ": " + first_line(error.what_without_backtrace()));
  }
}

}  // namespace fovea
