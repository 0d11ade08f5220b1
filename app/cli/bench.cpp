#include <iostream>

#include "app/cli/commands.h"
#include "app/cli/run.h"
#include "core/attention/bench/attention_bench.h"

namespace fovea::cli {

int run_bench(const BenchRequest& request, const CommonOptions&, const std::stop_token&) {
  const AttentionBenchOptions options{.device = request.device, .backend = request.backend, .only = request.only,
                                      .seconds_per_case = request.seconds,
                                      .format = request.json ? BenchFormat::kJson : BenchFormat::kTable};
  return run_attention_bench(options, std::cout) == 0 ? kExitDone : kExitEnvironment;
}

}  // namespace fovea::cli
