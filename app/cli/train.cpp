#include "app/cli/commands.h"
#include "app/cli/console.h"
#include "app/cli/run.h"
#include "core/train/train.h"

namespace fovea::cli {

int run_train(const TrainRequest& request, const CommonOptions& common, const std::stop_token& stop) {
  const TrainingConfig config = read_training_config(request.config);
  Console console(common.verbosity, {"steps", 1.0});
  console.begin(request.config);
  try {
    const auto start = request.restart ? TrainingStart::kBeginning : TrainingStart::kCheckpoint;
    const TrainingResult result = run_training(config, start, console, stop);
    console.result(to_json(result).dump(2));
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kCancelled) throw;
    console.error(error.what());   // says where the checkpoint is
    return kExitInterrupted;
  }
  return kExitDone;
}

}  // namespace fovea::cli
