#include "app/cli/run.h"

#include <cstdio>

#include "app/cli/commands.h"
#include "app/cli/console.h"
#include "app/cli/session.h"
#include "core/base/error.h"
#include "core/base/memory_shortage.h"

namespace fovea::cli {
namespace {

int exit_code_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kInput: return kExitSomeFailed;
    case ErrorKind::kUsage: return kExitUsage;
    case ErrorKind::kCancelled: return kExitInterrupted;
    case ErrorKind::kModel:
    case ErrorKind::kEnvironment:
    case ErrorKind::kContract: break;
  }
  return kExitEnvironment;
}

struct Runner {
  const CommonOptions& common;
  const std::stop_token& stop;
  int operator()(const TrainRequest& request) const { return run_train(request, common, stop); }
  int operator()(const EvalRequest& request) const { return run_eval(request, common, stop); }
  int operator()(const ImportRequest& request) const { return run_import(request, common, stop); }
  int operator()(const BenchRequest& request) const { return run_bench(request, common, stop); }
  int operator()(const InfoRequest& request) const { return run_info(request, common, stop); }
  int operator()(const AttendRequest& request) const {
#ifdef FOVEA_HAS_IMAGES
    return run_attend(request, common, stop);
#else
    throw Error(ErrorKind::kUsage, "fovea attend: this program was built without image reading");
#endif
  }
  int operator()(const SegmentRequest& request) const {
#ifdef FOVEA_HAS_IMAGES
    return run_segment(request, common, stop);
#else
    throw Error(ErrorKind::kUsage, "fovea segment: this program was built without image reading");
#endif
  }
};

int report(const char* message, int exit_code) {
  std::fprintf(stderr, "%s\n", on_one_line(message).c_str());
  return exit_code;
}

}  // namespace
}  // namespace fovea::cli

extern "C" __attribute__((visibility("default"))) int fovea_cli_run(const fovea::cli::Request& request, const std::stop_token& stop) {
  using namespace fovea;
  using namespace fovea::cli;
  try {
    prepare_torch(request.common);
    return std::visit(Runner{request.common, stop}, request.command);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kCancelled) return kExitInterrupted;
    const std::string prefix = error.kind() == ErrorKind::kContract ? "fovea: internal error: " : "";
    return report((prefix + error.what()).c_str(), exit_code_of(error.kind()));
  } catch (const std::exception& error) {
    if (const auto shortage = memory_shortage()) {
      return report(("fovea: " + shortage->text + (shortage->on_device ? "; --device cpu does without it" : "")).c_str(), kExitEnvironment);
    }
    return report(("fovea: " + first_line(error.what())).c_str(), kExitEnvironment);
  }
}
