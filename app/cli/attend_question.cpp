#include "app/cli/attend_question.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <map>
#include <sstream>

#include "core/base/files.h"
#include "core/model/strict_json.h"

namespace fovea::cli {
namespace {

using Reader = void (*)(AttendQuestion&, const nlohmann::json&);

// One reader a key; a wrong type throws nlohmann's exception.
const std::map<std::string, Reader>& readers() {
  using Json = const nlohmann::json&;
  static const std::map<std::string, Reader> kReaders{
      {"at", [](AttendQuestion& q, Json v) { q.at = v.get<std::array<std::int64_t, 2>>(); q.box.reset(); q.global.reset(); }},
      {"box", [](AttendQuestion& q, Json v) { q.box = v.get<std::array<std::int64_t, 4>>(); q.at.reset(); q.global.reset(); }},
      {"disc", [](AttendQuestion& q, Json v) { q.disc = v.get<double>(); }},
      {"global", [](AttendQuestion& q, Json v) { q.global = v.get<std::int64_t>(); q.at.reset(); q.box.reset(); }},
      {"method", [](AttendQuestion& q, Json v) { q.method = v.get<std::string>(); }},
      {"layer", [](AttendQuestion& q, Json v) { q.layer = v.get<std::int64_t>(); }},
      {"head", [](AttendQuestion& q, Json v) { q.head = v.is_number() ? std::to_string(v.get<std::int64_t>()) : v.get<std::string>(); }},
      {"share", [](AttendQuestion& q, Json v) { q.share = v.get<double>(); }},
      {"window", [](AttendQuestion& q, Json v) { q.window = v.get<std::int64_t>(); }},
      {"dilation", [](AttendQuestion& q, Json v) { q.dilation = v.get<std::int64_t>(); }},
      {"globals", [](AttendQuestion& q, Json v) { q.globals = v.get<std::int64_t>(); }},
      {"dense_layers", [](AttendQuestion& q, Json v) { q.dense_layers = v.get<std::vector<std::int64_t>>(); }},
      {"output", [](AttendQuestion& q, Json v) { q.output = v.get<std::string>(); }},
      {"raw", [](AttendQuestion& q, Json v) { q.raw = v.get<std::string>(); }},
      {"json", [](AttendQuestion& q, Json v) { q.json = v.get<std::string>(); }},
  };
  return kReaders;
}

AttendQuestion read_line(const std::string& text, const AttendQuestion& defaults, const std::string& subject) {
  const auto fail = [&](const std::string& what) { throw Error(ErrorKind::kInput, subject + ": " + what); };
  nlohmann::json json;
  try {
    json = parse_strict_json(text, 4, subject);
  } catch (const Error& error) {
    throw Error(ErrorKind::kInput, error.what());
  }
  if (!json.is_object()) fail("expected a JSON object");
  AttendQuestion question = defaults;
  question.output.clear(), question.raw.clear(), question.json.clear();   // every line its own files
  for (const auto& [key, value] : json.items()) {
    const auto reader = readers().find(key);
    if (reader == readers().end()) fail("unknown key '" + printable(key) + "'");
    try {
      reader->second(question, value);
    } catch (const nlohmann::json::exception&) {
      fail("key '" + key + "' has a value of the wrong type");
    }
  }
  return question;
}

bool is_picture(const std::string& path) {
  auto extension = std::filesystem::path(path).extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(), [](unsigned char c) { return std::tolower(c); });
  return extension == ".png" || extension == ".jpg" || extension == ".jpeg";
}

[[noreturn]] void refuse(const std::string& what) { throw Error(ErrorKind::kUsage, "fovea attend: " + what); }

}  // namespace

std::vector<AttendQuestion> questions_of(const AttendRequest& request) {
  if (request.batch.empty()) return {request.question};
  std::vector<AttendQuestion> questions;
  std::istringstream lines(read_text_file(request.batch));
  std::int64_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    questions.push_back(read_line(line, request.question, request.batch + ": line " + std::to_string(number)));
  }
  if (questions.empty()) throw Error(ErrorKind::kInput, request.batch + ": holds no question");
  return questions;
}

void check_question(const AttendQuestion& question, bool all_heads) {
  const auto& info = analysis::method_info(analysis::parse_method(question.method));
  analysis::parse_heads(question.head);
  const int places = static_cast<int>(question.at.has_value()) + static_cast<int>(question.box.has_value()) +
                     static_cast<int>(question.global.has_value());
  if (places > 1) refuse("--at, --box and --global exclude each other");
  if (info.needs_tokens && places == 0)
    refuse("method " + question.method + " asks about tokens: add --at X,Y, --box X,Y,WIDTH,HEIGHT or --global N");
  if (question.disc && !question.at) refuse("--disc needs --at");
  if (all_heads && !info.by_head) refuse("method " + question.method + " does not differ by head: leave out --all-heads");
  if (all_heads && !question.raw.empty()) refuse("--all-heads writes a picture and numbers: leave out --raw");
  if (info.method == analysis::Method::kPca && !question.raw.empty()) refuse("method pca gives colours: leave out --raw");
  if (question.output.empty() && question.raw.empty() && question.json.empty())
    refuse("nothing to write: add -o OUT.png, --raw OUT.tif or --json OUT.json");
  if (!question.output.empty() && !is_picture(question.output)) refuse("'" + question.output + "': a picture must end in .png or .jpg");
}

nlohmann::json to_json(const AttendQuestion& question) {
  nlohmann::json json{{"method", question.method}, {"head", question.head}};
  if (question.layer >= 0) json["layer"] = question.layer;
  if (question.at) json["at"] = *question.at;
  if (question.box) json["box"] = *question.box;
  if (question.disc) json["disc"] = *question.disc;
  if (question.global) json["global"] = *question.global;
  if (question.method.starts_with("rollout") || question.method == "field") json["share"] = question.share;
  const bool pattern =
      question.method == "kept-mass" || question.method == "variation" || question.method == "divergence" || question.method == "pattern";
  if (pattern) json["window"] = question.window, json["dilation"] = question.dilation;
  if (pattern && question.globals) json["globals"] = *question.globals;
  if (pattern && !question.dense_layers.empty()) json["dense_layers"] = question.dense_layers;
  return json;
}

std::vector<std::array<std::int64_t, 4>> asked_pixels(const AttendQuestion& question) {
  if (question.box) return {*question.box};
  if (question.at) {
    const auto radius = static_cast<std::int64_t>(question.disc.value_or(0));
    return {{(*question.at)[0] - radius, (*question.at)[1] - radius, 2 * radius + 1, 2 * radius + 1}};
  }
  return {};
}

analysis::Query to_query(const AttendQuestion& question, const ProbePlace& place) {
  analysis::Query query{.method = analysis::parse_method(question.method),
                        .layer = question.layer,
                        .heads = analysis::parse_heads(question.head),
                        .attention_share = question.share,
                        .window = question.window,
                        .dilation = question.dilation,
                        .kept_globals = question.globals};
  if (!question.dense_layers.empty()) query.dense_layers = question.dense_layers;
  query.tokens.global_token = question.global;
  const auto& asked = place.asked;
  const auto pixel = [&](std::int64_t x, std::int64_t y) {
    if (x >= asked.x && y >= asked.y && x < asked.x + asked.width && y < asked.y + asked.height) return;
    throw Error(ErrorKind::kUsage, "point (" + std::to_string(x) + ", " + std::to_string(y) + ") lies outside: the pixels looked at are " +
                                       std::to_string(asked.x) + " ... " + std::to_string(asked.x + asked.width - 1) + " by " +
                                       std::to_string(asked.y) + " ... " + std::to_string(asked.y + asked.height - 1));
  };
  query.focus = {(asked.y - place.top) / place.patch, (asked.x - place.left) / place.patch,
                 (asked.height + place.patch - 1) / place.patch, (asked.width + place.patch - 1) / place.patch};
  if (question.at) {
    const auto [x, y] = *question.at;
    pixel(x, y);
    query.tokens.box = {(y - place.top) / place.patch, (x - place.left) / place.patch, 1, 1};
    if (question.disc) query.tokens.disc_radius = *question.disc / static_cast<double>(place.patch);
  }
  if (question.box) {
    const auto [x, y, width, height] = *question.box;
    if (width < 1 || height < 1) throw Error(ErrorKind::kUsage, "the box must have at least one pixel");
    pixel(x, y);
    pixel(x + width - 1, y + height - 1);
    const auto top = (y - place.top) / place.patch, left = (x - place.left) / place.patch;
    query.tokens.box = {top, left, (y + height - 1 - place.top) / place.patch - top + 1,
                        (x + width - 1 - place.left) / place.patch - left + 1};
  }
  return query;
}

}  // namespace fovea::cli
