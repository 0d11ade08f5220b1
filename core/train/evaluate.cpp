#include "core/train/evaluate.h"

#include <algorithm>
#include <chrono>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/train/training_device.h"

namespace fovea {
namespace {

struct Axis { std::int64_t core_begin, core_end, window_begin, window_end; };

std::vector<Axis> plan_axis(std::int64_t begin, std::int64_t end, std::int64_t extent, std::int64_t patch, const EvaluationTiling& tiling) {
  // A window begins on the patch grid, which can take up to patch - 1 pixels of the tile: the step leaves room for them.
  const std::int64_t step = std::max<std::int64_t>(tiling.tile - 2 * tiling.margin - (patch - 1), 1);
  std::vector<Axis> axes;
  for (std::int64_t core = begin; core < end; core += step) {
    const std::int64_t core_end = std::min(core + step, end);
    const std::int64_t window = std::max<std::int64_t>(core - tiling.margin, 0) / patch * patch;
    axes.push_back({core, core_end, window, std::min(core_end + tiling.margin, extent)});
  }
  return axes;
}

struct Task { const LabelledImage* image; EvaluationTile tile; };

// Labels of the core: [core.height, core.width] uint8.
torch::Tensor label_core(SegmentationModel& model, const Task& task, torch::Device device) {
  const auto& [core, window] = task.tile;
  const auto pixels = task.image->image.narrow(0, window.y, window.height).narrow(1, window.x, window.width);
  const auto logits = model.forward(pixels.permute({2, 0, 1}).unsqueeze(0).contiguous().to(device));
  const auto inner = logits.narrow(2, core.y - window.y, core.height).narrow(3, core.x - window.x, core.width);
  return inner.argmax(1).squeeze(0).to(torch::kUInt8);
}

}  // namespace

std::vector<EvaluationTile> plan_evaluation(const ImageExtent& image, const Rect& region, std::int64_t patch,
                                            const EvaluationTiling& tiling) {
  if (tiling.margin < 0 || tiling.tile <= 2 * tiling.margin) {
    throw Error(ErrorKind::kUsage, "tile of " + std::to_string(tiling.tile) + " pixels: must be above twice its margin of " +
                                       std::to_string(tiling.margin));
  }
  std::vector<EvaluationTile> tiles;
  for (const auto& y : plan_axis(region.y, region.y + region.height, image.height, patch, tiling)) {
    for (const auto& x : plan_axis(region.x, region.x + region.width, image.width, patch, tiling)) {
      tiles.push_back({{x.core_begin, y.core_begin, x.core_end - x.core_begin, y.core_end - y.core_begin},
                       {x.window_begin, y.window_begin, x.window_end - x.window_begin, y.window_end - y.window_begin}});
    }
  }
  return tiles;
}

Evaluation evaluate(SegmentationModel& model, const TrainingSet& set, const EvaluationTiling& tiling, Progress& progress,
                    const std::stop_token& stop) {
  torch::NoGradGuard no_grad;
  model.eval();
  const auto& config = model.config();
  if (!config.decoder) throw Error(ErrorKind::kModel, config.name + ": has no decoder, and cannot label pixels");
  Evaluation result{ConfusionMatrix(static_cast<std::int64_t>(config.classes.size())), {}, 0, 0, 0};
  for (const auto& info : config.classes) result.class_names.push_back(info.name);

  std::vector<Task> tasks;
  for (const auto& image : set.images()) {
    const ImageExtent extent{image.image.size(1), image.image.size(0)};
    for (const auto& tile : plan_evaluation(extent, image.region, config.encoder.patch, tiling)) tasks.push_back({&image, tile});
  }
  result.tiles_planned = static_cast<std::int64_t>(tasks.size());
  result.tiles = tiling.max_tiles == 0 ? result.tiles_planned : std::min(tiling.max_tiles, result.tiles_planned);

  const auto device = model.device();
  const auto start = std::chrono::steady_clock::now();
  for (std::int64_t i = 0; i < result.tiles; ++i) {
    throw_if_stopped(stop);
    const auto& task = tasks[static_cast<std::size_t>(i * result.tiles_planned / result.tiles)];
    const auto& core = task.tile.core;
    const auto truth = task.image->mask.narrow(0, core.y, core.height).narrow(1, core.x, core.width).to(device);
    result.confusion.add(truth, label_core(model, task, device), config.ignore_index);
    progress.report("evaluating", i + 1, result.tiles);
  }
  result.seconds = seconds_since(start);
  return result;
}

Evaluation evaluate(const EvaluationRequest& request, Progress& progress, const std::stop_token& stop) {
  if (request.precision != "float32" && request.precision != "bfloat16") {
    throw Error(ErrorKind::kUsage, "precision " + request.precision + ": must be float32 or bfloat16");
  }
  const auto dtype = request.precision == "float32" ? torch::kFloat32 : torch::kBFloat16;
  const auto model = load_model(request.model, choose_device(request.device), dtype);
  const LabelRange labels{static_cast<std::int64_t>(model->config().classes.size()), model->config().ignore_index};
  if (labels.classes == 0) throw Error(ErrorKind::kModel, request.model.string() + ": has no decoder, and cannot label pixels");
  return evaluate(*model, TrainingSet(request.data, labels, progress, stop), request.tiling, progress, stop);
}

nlohmann::json to_json(const Evaluation& evaluation) {
  auto value = to_json(evaluation.confusion, evaluation.class_names);
  value["tiles"] = evaluation.tiles;
  value["tiles_planned"] = evaluation.tiles_planned;
  value["seconds"] = evaluation.seconds;
  return value;
}

}  // namespace fovea
