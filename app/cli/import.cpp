#include <filesystem>
#include <optional>

#include "app/cli/commands.h"
#include "app/cli/console.h"
#include "app/cli/onnx_source.h"
#include "app/cli/run.h"
#include "core/model/import.h"

namespace fovea::cli {

int run_import(const ImportRequest& request, const CommonOptions& common, const std::stop_token&) {
  ImportOptions options;
  options.name = request.name;
  options.licence = request.licence;
  options.heads = request.heads;
  options.patch = request.patch;
  if (request.rope) {
    options.positions = ImportedPositions::kMeanAndRope;
    options.rope_base = *request.rope;
  }
  options.seed = request.seed;
  options.global_tokens = request.global_tokens;
  if (request.window) options.window = {*request.window, *request.window};
  std::optional<OnnxBackbone> onnx;
  if (std::filesystem::path(request.source).extension() == ".onnx") onnx.emplace(request.source);
  const ImportReport report = import_model(onnx ? onnx->safetensors() : std::filesystem::path(request.source), request.output, options);
  Console console(common.verbosity, {"tensors", 1.0});
  console.line(request.output + ": " + report.layout + ", " + std::to_string(report.parameters) + " parameters");
  for (const std::string& name : report.left_out) console.line("left out: " + name);
  return kExitDone;
}

}  // namespace fovea::cli
