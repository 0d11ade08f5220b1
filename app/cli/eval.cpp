#include <filesystem>

#include "app/cli/commands.h"
#include "app/cli/console.h"
#include "app/cli/run.h"
#include "app/cli/session.h"
#include "core/base/model_folder.h"
#include "core/train/evaluate.h"
#include "core/train/training_device.h"

namespace fovea::cli {
namespace {

DataSource data_source(const EvalRequest& request) {
  const auto [left, top, right, bottom] = request.region;
  if (left >= right || top >= bottom) throw Error(ErrorKind::kUsage, "fovea eval: --region: left must be below right and top below bottom");
  return {.path = request.images, .only = request.only, .regions = {}};
}

// Regions are given by image name; one region for all needs the names.
std::vector<std::string> image_names(const EvalRequest& request) {
  if (!request.only.empty()) return request.only;
  throw Error(ErrorKind::kUsage, "fovea eval: --region needs --only: which images have it");
}

}  // namespace

int run_eval(const EvalRequest& request, const CommonOptions& common, const std::stop_token& stop) {
  Console console(common.verbosity, {"tiles", 1.0});
  DataSource data = data_source(request);
  const Region region{request.region[0], request.region[1], request.region[2], request.region[3]};
  if (region != Region{}) {
    for (const std::string& name : image_names(request)) data.regions[name] = region;
  }
  const torch::Device device = choose_device(request.model.device);
  const EvaluationRequest evaluation{.model = find_model(request.model.model), .data = {data}, .device = request.model.device,
                                     .precision = precision_name(choose_precision(request.model.precision, device)),
                                     .tiling = {.tile = request.tile, .margin = request.margin, .max_tiles = request.max_tiles}};
  console.begin(request.images);
  const Evaluation result = evaluate(evaluation, console, stop);
  console.result(to_json(result).dump(2));
  return kExitDone;
}

}  // namespace fovea::cli
