// The border between the program, which parses arguments and owns signals, and the library of commands, which it loads when there is
// work to do: torch, OpenCV and GDAL take longer to load than a person waits for help or for a usage error.
#pragma once

#include <stop_token>

#include "app/cli/requests.h"

namespace fovea::cli {

// Exit codes: every program that runs fovea relies on them.
constexpr int kExitDone = 0;            // all done
constexpr int kExitSomeFailed = 1;      // some inputs failed; the rest are done and listed
constexpr int kExitUsage = 2;
constexpr int kExitEnvironment = 3;     // environment or model
constexpr int kExitInterrupted = 130;

// Runs one command and returns the exit code; prints errors itself; throws nothing.
using RunFunction = int(const Request& request, const std::stop_token& stop);
constexpr const char* kRunFunctionName = "fovea_cli_run";
constexpr const char* kCommandsLibrary = "libfovea_commands.so";

}  // namespace fovea::cli
