// Measuring a model on labelled images.
#pragma once

#include <cstdint>
#include <filesystem>
#include <stop_token>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/base/progress.h"
#include "core/base/torch.h"
#include "core/model/segmentation_model.h"
#include "core/train/metrics.h"
#include "core/train/training_set.h"

namespace fovea {

// A region is covered by the cores of overlapping tiles; of a tile's labels only the core's count, so that no counted pixel is nearer
// than `margin` to an edge that the image does not have. A tile may reach beyond the region, as it would when the whole image is labelled.
struct EvaluationTiling {
  std::int64_t tile = 1024;        // pixels a side at most, margins included; above 2 * margin
  std::int64_t margin = 128;       // pixels
  std::int64_t max_tiles = 0;      // evaluate this many tiles, spread evenly over all regions; 0: all
};

struct EvaluationTile {
  Rect core;     // pixels whose labels count
  Rect window;   // pixels that the model sees; begins on the model's patch grid
};

// Tiles of a region of an image, row by row. Errors: Error{kUsage} if tile <= 2 * margin.
struct ImageExtent { std::int64_t width = 0, height = 0; };
std::vector<EvaluationTile> plan_evaluation(const ImageExtent& image, const Rect& region, std::int64_t patch,
                                            const EvaluationTiling& tiling);

struct Evaluation {
  ConfusionMatrix confusion;
  std::vector<std::string> class_names;
  std::int64_t tiles = 0, tiles_planned = 0;   // fewer than planned if max_tiles says so
  double seconds = 0;                          // of labelling; reading images not included
};
nlohmann::json to_json(const Evaluation& evaluation);

// Labels the regions of all images and compares. Runs on the model's device; images follow tile by tile if they are elsewhere. Leaves the
// model in eval mode. progress: tiles. Cost of the aerial model (patch 8, 22 M parameters): about 0.75 TFLOP a megapixel, times
// (tile / (tile - 2 margin))^2 for the margins.
Evaluation evaluate(SegmentationModel& model, const TrainingSet& set, const EvaluationTiling& tiling, Progress& progress,
                    const std::stop_token& stop);

// What `fovea eval` does: loads the model and the images, and evaluates.
struct EvaluationRequest {
  std::filesystem::path model;             // model folder
  std::vector<DataSource> data;
  std::string device = "auto";             // as in TrainingConfig
  std::string precision = "float32";       // of the weights and the arithmetic: "float32" or "bfloat16"
  EvaluationTiling tiling;
};
Evaluation evaluate(const EvaluationRequest& request, Progress& progress, const std::stop_token& stop);

}  // namespace fovea
