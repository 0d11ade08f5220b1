// JSON from files that nobody vouches for. No torch.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace fovea {

// Parses UTF-8 JSON; unlike the library's own parse() it refuses a key that appears twice in one object, values nested deeper than
// max_depth, and more than 2,000,000 keys and values, which would cost seconds and gigabytes.
// Errors: Error{kModel} "FILE: KEY: key appears twice", "FILE: not valid JSON: REASON".
nlohmann::json parse_strict_json(std::string_view text, int max_depth, const std::string& file_for_errors);

// Text from a file inside a one-line message: control characters replaced, long texts cut.
std::string printable(std::string_view text);

}  // namespace fovea
