#include "core/model/strict_json.h"

#include <cstdint>
#include <unordered_set>
#include <vector>

#include "core/base/error.h"

namespace fovea {
namespace {

constexpr std::int64_t kMaxValues = 2'000'000;      // the largest models have some ten thousand
constexpr std::size_t kMaxShownBytes = 120;

}  // namespace

nlohmann::json parse_strict_json(std::string_view text, int max_depth, const std::string& file_for_errors) {
  const auto fail = [&](const std::string& what) { throw Error(ErrorKind::kModel, file_for_errors + ": " + what); };
  // The library silently keeps the last of two equal keys, therefore keys are watched as they come.
  std::vector<std::unordered_set<std::string>> open_objects;
  std::int64_t values = 0;
  const auto watch = [&](int depth, nlohmann::json::parse_event_t event, nlohmann::json& value) {
    using Event = nlohmann::json::parse_event_t;
    if (depth > max_depth) fail("JSON is nested deeper than " + std::to_string(max_depth) + " levels");
    if (++values > kMaxValues) fail("JSON has more than " + std::to_string(kMaxValues) + " keys and values");
    if (event == Event::object_start) open_objects.emplace_back();
    if (event == Event::object_end) open_objects.pop_back();
    if (event == Event::key && !open_objects.back().insert(value.get<std::string>()).second) {
      fail(printable(value.get<std::string>()) + ": key appears twice");
    }
    return true;
  };
  try {
    return nlohmann::json::parse(text, watch);
  } catch (const nlohmann::json::exception& error) {   // invalid UTF-8 arrives here too
    throw Error(ErrorKind::kModel, file_for_errors + ": not valid JSON: " + printable(first_line(error.what())));
  }
}

std::string printable(std::string_view text) {
  std::string shown(text.substr(0, kMaxShownBytes));
  for (char& c : shown) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return text.size() > kMaxShownBytes ? shown + "..." : shown;
}

}  // namespace fovea
