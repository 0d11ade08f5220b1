// The command line of fovea.
#pragma once

#include <optional>
#include <string>

#include "app/cli/requests.h"

namespace fovea::cli {

// What to do, or what to print and which exit code to leave with.
struct ParseResult {
  std::optional<Request> request;
  std::string standard_output, standard_error;
  int exit_code = 0;
};

ParseResult parse_command_line(int argument_count, const char* const* arguments);

}  // namespace fovea::cli
