// Questions of `fovea attend`: from the command line and from batch files.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "app/cli/requests.h"
#include "core/attention/analysis/query.h"
#include "core/image/image.h"

namespace fovea::cli {

// Of a request: the one on the command line, or the lines of its batch file, which take what they do not say from the command line.
// Error{kInput} "FILE: line 3: what was wrong".
std::vector<AttendQuestion> questions_of(const AttendRequest& request);

// Error{kUsage}: methods and heads that do not exist, options that contradict each other, no output at all.
void check_question(const AttendQuestion& question, bool all_heads);

// The question with its settings, for the JSON that repeats it.
nlohmann::json to_json(const AttendQuestion& question);

// In tokens of a probe whose first pixel is (left, top) of the image and whose patches have `patch` pixels.
struct ProbePlace {
  std::int64_t left = 0, top = 0, width = 0, height = 0;   // pixels of the image that the probe holds
  Rect asked{};                                            // those that may be asked about: without the halo
  std::int64_t patch = 1;
};
// Error{kUsage} for places outside.
analysis::Query to_query(const AttendQuestion& question, const ProbePlace& place);

}  // namespace fovea::cli
