#include "app/cli/attend_question.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <filesystem>
#include <map>
#include <set>
#include <sstream>

#include "core/base/files.h"
#include "core/model/strict_json.h"

namespace fovea::cli {
namespace {

using Reader = void (*)(AttendQuestion&, const nlohmann::json&);

// A line that names a place takes none from the command line.
AttendQuestion& elsewhere(AttendQuestion& question) {
  question.at.reset(), question.box.reset(), question.global.reset(), question.brush.clear(), question.points.clear();
  return question;
}

// One reader a key; a wrong type throws nlohmann's exception.
const std::map<std::string, Reader>& readers() {
  using Json = const nlohmann::json&;
  static const std::map<std::string, Reader> kReaders{
      {"at", [](AttendQuestion& q, Json v) { elsewhere(q).at = v.get<std::array<std::int64_t, 2>>(); }},
      {"box", [](AttendQuestion& q, Json v) { elsewhere(q).box = v.get<std::array<std::int64_t, 4>>(); }},
      {"brush", [](AttendQuestion& q, Json v) { elsewhere(q).brush = v.get<std::vector<std::array<std::int64_t, 2>>>(); }},
      {"disc", [](AttendQuestion& q, Json v) { q.disc = v.get<double>(); }},
      {"global", [](AttendQuestion& q, Json v) { elsewhere(q).global = v.get<std::int64_t>(); }},
      {"points", [](AttendQuestion& q, Json v) { elsewhere(q).points = v.get<std::vector<std::array<std::int64_t, 2>>>(); }},
      {"method", [](AttendQuestion& q, Json v) { q.method = v.get<std::string>(); }},
      {"layer", [](AttendQuestion& q, Json v) { q.layer = v.get<std::int64_t>(); }},
      {"head", [](AttendQuestion& q, Json v) { q.head = v.is_number() ? std::to_string(v.get<std::int64_t>()) : v.get<std::string>(); }},
      {"share", [](AttendQuestion& q, Json v) { q.share = v.get<double>(); }},
      {"paths", [](AttendQuestion& q, Json v) { q.paths = v.get<std::string>(); }},
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

bool is_rollout(analysis::Method method) {
  using analysis::Method;
  return method == Method::kRollout || method == Method::kRolloutFrom || method == Method::kField;
}

bool compares_patterns(analysis::Method method) {
  using analysis::Method;
  return method == Method::kKeptMass || method == Method::kVariation || method == Method::kDivergence || method == Method::kPattern ||
         method == Method::kChanged;
}

// The tokens that a stroke touches: those under points half a token apart, and those whose middle lies within the radius of such a point.
std::vector<analysis::WeightedToken> stroke(const std::vector<std::array<std::int64_t, 2>>& corners, double radius,
                                            const ProbePlace& place) {
  const auto patch = static_cast<double>(place.patch);
  const auto rows = (place.height + place.patch - 1) / place.patch, columns = (place.width + place.patch - 1) / place.patch;
  std::set<std::pair<std::int64_t, std::int64_t>> touched;
  const auto touch = [&](double x, double y) {   // in tokens
    touched.insert({static_cast<std::int64_t>(y), static_cast<std::int64_t>(x)});
    const auto reach = radius / patch;
    for (auto row = static_cast<std::int64_t>(std::max(0.0, y - reach)); row < rows && static_cast<double>(row) <= y + reach; ++row) {
      for (auto column = static_cast<std::int64_t>(std::max(0.0, x - reach)); column < columns && static_cast<double>(column) <= x + reach;
           ++column) {
        if (std::hypot(static_cast<double>(row) + 0.5 - y, static_cast<double>(column) + 0.5 - x) <= reach) touched.insert({row, column});
      }
    }
  };
  for (std::size_t i = 0; i < corners.size(); ++i) {
    const auto& from = corners[i == 0 ? 0 : i - 1];
    const auto tokens = [&](std::int64_t pixel, std::int64_t first) { return (static_cast<double>(pixel - first) + 0.5) / patch; };
    const double x0 = tokens(from[0], place.left), y0 = tokens(from[1], place.top);
    const double x1 = tokens(corners[i][0], place.left), y1 = tokens(corners[i][1], place.top);
    const int steps = std::max(1, static_cast<int>(std::ceil(2 * std::hypot(x1 - x0, y1 - y0))));
    for (int k = 0; k <= steps; ++k) touch(x0 + (x1 - x0) * k / steps, y0 + (y1 - y0) * k / steps);
  }
  std::vector<analysis::WeightedToken> tokens;
  for (const auto& [row, column] : touched) tokens.push_back({row, column, 1.0});
  return tokens;
}

}  // namespace

std::vector<AttendQuestion> questions_of(const AttendRequest& request) {
  if (request.batch.empty()) return {request.question};
  std::vector<AttendQuestion> questions;
  std::istringstream lines(read_text_file(request.batch));
  std::map<std::string, std::int64_t> lines_of_outputs;
  std::int64_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const auto subject = request.batch + ": line " + std::to_string(number);
    questions.push_back(read_line(line, request.question, subject));
    questions.back().line = number;
    for (const auto& path : {questions.back().output, questions.back().raw, questions.back().json}) {
      const auto [known, fresh] = lines_of_outputs.emplace(path, number);
      if (!path.empty() && !fresh)
        throw Error(ErrorKind::kInput, subject + ": writes '" + printable(path) + "' as line " + std::to_string(known->second) + " does");
    }
  }
  if (questions.empty()) throw Error(ErrorKind::kInput, request.batch + ": holds no question");
  return questions;
}

void check_question(const AttendQuestion& question, bool all_heads) {
  const auto& info = analysis::method_info(analysis::parse_method(question.method));
  analysis::parse_heads(question.head);
  const int places = static_cast<int>(question.at.has_value()) + static_cast<int>(question.box.has_value()) +
                     static_cast<int>(question.global.has_value()) + static_cast<int>(!question.brush.empty()) +
                     static_cast<int>(!question.points.empty());
  if (places > 1) refuse("--at, --box, --brush, --points and --global exclude each other");
  if (info.needs_tokens && places == 0)
    refuse("method " + question.method + " asks about tokens: add --at X,Y, --box X,Y,WIDTH,HEIGHT, --brush X,Y,X,Y,... or --global N");
  if (question.disc && !question.at && question.brush.empty()) refuse("--disc needs --at or --brush");
  if (question.disc && !(*question.disc > 0 && *question.disc < 1e6)) {
    refuse("--disc " + nlohmann::json(*question.disc).dump() + ": a radius in pixels above 0");
  }
  if (!(question.share >= 0 && question.share <= 1)) refuse("--share " + nlohmann::json(question.share).dump() + ": must lie in 0 ... 1");
  if (question.paths != "all" && question.paths != "local") refuse("--paths '" + printable(question.paths) + "', expected all or local");
  if (question.layer < -1) refuse("layer " + std::to_string(question.layer) + " does not exist: layers count from 0");
  if (!question.dense_layers.empty() && info.of_one_layer) refuse("--dense-layers is for the methods pattern and changed");
  if (all_heads && !info.by_head) refuse("method " + question.method + " does not differ by head: leave out --all-heads");
  if (all_heads && !question.raw.empty()) refuse("--all-heads writes a picture and numbers: leave out --raw");
  if (info.method == analysis::Method::kPca && !question.raw.empty()) refuse("method pca gives colours: leave out --raw");
  if (question.output.empty() && question.raw.empty() && question.json.empty())
    refuse("nothing to write: add -o OUT.png, --raw OUT.tif or --json OUT.json");
  if (!question.output.empty() && !is_picture(question.output)) refuse("'" + question.output + "': a picture must end in .png or .jpg");
}

nlohmann::json to_json(const AttendQuestion& question) {
  nlohmann::json json{{"method", question.method}, {"head", question.head}};
  const auto method = analysis::parse_method(question.method);
  if (question.layer >= 0) json["layer"] = question.layer;
  if (question.at) json["at"] = *question.at;
  if (question.box) json["box"] = *question.box;
  if (!question.brush.empty()) json["brush"] = question.brush;
  if (!question.points.empty()) json["points"] = question.points;
  if (question.disc) json["disc"] = *question.disc;
  if (question.global) json["global"] = *question.global;
  if (is_rollout(method)) json["share"] = question.share, json["paths"] = question.paths;
  const bool pattern = compares_patterns(method);
  if (pattern) json["window"] = question.window, json["dilation"] = question.dilation;
  if (pattern && question.globals) json["globals"] = *question.globals;
  if (pattern && !question.dense_layers.empty()) json["dense_layers"] = question.dense_layers;
  return json;
}

analysis::Query to_query(const AttendQuestion& question, const ProbePlace& place) {
  analysis::Query query{.method = analysis::parse_method(question.method),
                        .layer = question.layer,
                        .heads = analysis::parse_heads(question.head),
                        .attention_share = question.share,
                        .paths = question.paths == "local" ? analysis::RolloutPaths::kLocal : analysis::RolloutPaths::kAll,
                        .count_paths = true,
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
  for (const auto& [x, y] : question.brush) pixel(x, y);
  if (!question.brush.empty()) query.tokens.brush = stroke(question.brush, question.disc.value_or(0), place);
  for (const auto& [x, y] : question.points) {
    pixel(x, y);
    query.tokens.brush.push_back({(y - place.top) / place.patch, (x - place.left) / place.patch, 1});
  }
  if (question.box) {
    const auto [x, y, width, height] = *question.box;
    if (width < 1 || height < 1) throw Error(ErrorKind::kUsage, "the box must have at least one pixel");
    pixel(x, y);
    const auto last = [](std::int64_t first, std::int64_t extent) { return first + std::min<std::int64_t>(extent, 1 << 30) - 1; };
    pixel(last(x, width), last(y, height));
    const auto top = (y - place.top) / place.patch, left = (x - place.left) / place.patch;
    query.tokens.box = {top, left, (y + height - 1 - place.top) / place.patch - top + 1,
                        (x + width - 1 - place.left) / place.patch - left + 1};
  }
  return query;
}

}  // namespace fovea::cli
