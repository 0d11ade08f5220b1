#include "app/cli/commands.h"
#include "app/cli/console.h"
#include "app/cli/run.h"
#include "core/model/import.h"

namespace fovea::cli {

int run_import(const ImportRequest& request, const CommonOptions& common, const std::stop_token&) {
  ImportOptions options;
  options.name = request.name;
  options.licence = request.licence;
  options.heads = request.heads;
  options.patch = request.patch;
  options.positions = request.rope ? ImportedPositions::kMeanAndRope : ImportedPositions::kAsStored;
  options.global_tokens = request.global_tokens;
  if (request.window) options.window = {*request.window, *request.window};
  const ImportReport report = import_model(request.source, request.output, options);
  Console console(common.verbosity, {"tensors", 1.0});
  console.line(request.output + ": " + report.layout + ", " + std::to_string(report.parameters) + " parameters");
  for (const std::string& name : report.left_out) console.line("left out: " + name);
  return kExitDone;
}

}  // namespace fovea::cli
