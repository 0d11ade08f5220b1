#include "app/viewer/explore/kept_maps.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "app/viewer/explore/attend_command.h"
#include "app/viewer/explore/canvas_marks.h"
#include "app/viewer/explore/region.h"
#include "app/viewer/layers/colour_layer.h"
#include "core/base/files.h"

namespace fovea::explore {
namespace {

using nlohmann::json;

constexpr const char* kPrefix = "kept:";   // of layers' ids
constexpr std::int64_t kMostSide = 16384;
constexpr std::size_t kMost_bytes = std::size_t{1} << 31;

std::string place_of(const Selection& tokens) {
  if (!tokens.box) return tokens.brush.empty() ? "" : ", brush";
  const TokenBox& box = *tokens.box;
  std::string place = ", token " + std::to_string(box.row) + ", " + std::to_string(box.column);
  if (box.rows * box.columns > 1) place += " and " + std::to_string(box.rows * box.columns - 1) + " more";
  return place;
}

// A name for the file: of what it holds.
std::string hash_of(const KeptMap& map) {
  std::uint64_t hash = 14695981039346656037ull;   // FNV-1a
  const auto add = [&](const void* bytes, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) hash = (hash ^ static_cast<const unsigned char*>(bytes)[i]) * 1099511628211ull;
  };
  add(map.name.data(), map.name.size());
  add(&map.rect_level0, sizeof map.rect_level0);
  add(map.values.data(), map.values.size() * sizeof(float));
  add(map.colours.data(), map.colours.size());
  char name[24];
  std::snprintf(name, sizeof name, "%016llx", static_cast<unsigned long long>(hash));
  return name;
}

}  // namespace

void save_kept_map(const std::filesystem::path& file, const KeptMap& map) {
  const RectD& rect = map.rect_level0;
  const json header{{"format", "fovea-map/1"}, {"name", map.name}, {"rect", {rect.x, rect.y, rect.width, rect.height}},
                    {"columns", map.columns}, {"rows", map.rows}, {"kind", map.values.empty() ? "colours" : "values"},
                    {"command", map.command.command}, {"writes", map.command.writes}, {"note", map.command.note}};
  std::string text = header.dump() + "\n";
  const std::size_t start = text.size(), bytes = map.values.empty() ? map.colours.size() : map.values.size() * sizeof(float);
  text.resize(start + bytes);
  std::memcpy(text.data() + start, map.values.empty() ? static_cast<const void*>(map.colours.data()) : map.values.data(), bytes);
  std::error_code ignored;
  std::filesystem::create_directories(file.parent_path(), ignored);
  write_file_atomically(file, text);
}

KeptMap load_kept_map(const std::filesystem::path& file) {
  const std::string text = read_text_file(file, kMost_bytes);
  const auto end = text.find('\n');
  KeptMap map;
  try {
    const json header = json::parse(text.substr(0, end));
    const auto& rect = header.at("rect");
    map.name = header.at("name"), map.rect_level0 = {rect.at(0), rect.at(1), rect.at(2), rect.at(3)};
    map.columns = header.at("columns"), map.rows = header.at("rows");
    map.command = {.layer = {}, .command = header.at("command"), .writes = header.at("writes"), .note = header.at("note")};
    const bool colours = header.at("kind") == "colours";
    const std::size_t bytes = text.size() - end - 1;
    const bool fits = map.columns > 0 && map.rows > 0 && map.columns <= kMostSide && map.rows <= kMostSide &&
                      bytes == static_cast<std::size_t>(map.columns * map.rows) * (colours ? 3 : sizeof(float));
    if (!fits || end == std::string::npos) throw Error(ErrorKind::kInput, "");
    const auto count = static_cast<std::size_t>(map.columns * map.rows);
    if (colours) map.colours.resize(3 * count);
    else map.values.resize(count);
    std::memcpy(colours ? static_cast<void*>(map.colours.data()) : map.values.data(), text.data() + end + 1, bytes);
  } catch (const std::exception&) {
    throw Error(ErrorKind::kInput, file.string() + ": damaged");
  }
  return map;
}

KeptMaps::KeptMaps(Workspace& workspace, std::filesystem::path folder)
    : workspace_(workspace), folder_(std::move(folder)), job_([wake = workspace.main_thread.wake] { if (wake) wake(); }) {
  add_project_section();
}

void KeptMaps::keep(const Reply& reply, const Encoded& encoded, const Layer& look) {
  const Rect pixels = pixels_of(encoded, reply.place);
  const auto real = [](std::int64_t pixel) { return static_cast<double>(pixel); };
  auto map = std::make_shared<KeptMap>(
      KeptMap{.name = title_of(reply.question) + place_of(reply.question.tokens),
              .rect_level0 = {real(pixels.x), real(pixels.y), real(pixels.width), real(pixels.height)}, .columns = reply.place.columns,
              .rows = reply.place.rows, .values = {}, .colours = {}, .command = attend_command({}, encoded, reply.question)});
  const auto values = reply.plane.samples();
  const auto colours = reply.colours.samples();
  map->values.assign(values.begin(), values.end());
  map->colours.assign(colours.begin(), colours.end());
  const std::string file = hash_of(*map) + ".map";
  add_layer(file, *map);
  Layer& layer = *workspace_.layers.find(kPrefix + file);
  layer.style = look.style;
  if (auto* heat = dynamic_cast<HeatLayer*>(&layer)) {
    const auto& shown = dynamic_cast<const HeatLayer&>(look);
    heat->threshold = shown.threshold, heat->alpha = shown.alpha, heat->smooth = shown.smooth;
  }
  // Below what is asked next, which would be hidden by it.
  const auto place = [this](const std::string& id) {
    std::size_t i = 0;
    while (i < workspace_.layers.size() && workspace_.layers.at(i).id != id) ++i;
    return i;
  };
  const std::size_t kept = place(layer.id), shown = place(look.id);
  if (kept > shown) workspace_.layers.move(kept, shown);
  workspace_.history.touch("Keep " + map->name);
  unsaved_.emplace_back(folder_ / file, std::move(map));
}

void KeptMaps::add_layer(const std::string& file, const KeptMap& map) {
  const std::string id = kPrefix + file;
  maps_[id] = {file, map.command};
  maps_[id].command.layer = id;
  if (map.values.empty()) {
    auto layer = std::make_unique<ColourLayer>(id, map.name);
    ImageU8 colours(map.columns, map.rows, 3);
    std::ranges::copy(map.colours, colours.samples().begin());
    layer->set_colours(std::move(colours), map.rect_level0);
    layer->removable = true;
    workspace_.layers.add(std::move(layer));
    return;
  }
  auto layer = std::make_unique<HeatLayer>(id, map.name);
  layer->set_values({.columns = map.columns, .rows = map.rows, .values = map.values, .rect_level0 = map.rect_level0});
  layer->removable = true;
  workspace_.layers.add(std::move(layer));
}

void KeptMaps::every_frame() {
  job_.poll();
  if (unsaved_.empty() || job_.running()) return;
  job_.start([maps = std::exchange(unsaved_, {})](Progress&, const std::stop_token&) {
               for (const auto& [file, map] : maps) save_kept_map(file, *map);
             },
             [this](const BackgroundJob::Outcome& outcome) {
               if (!outcome.error.empty()) workspace_.messages.warn(outcome.error + "; kept maps are gone when the window closes");
             });
}

std::optional<LayerCommand> KeptMaps::command(const Layer& layer) const {
  const auto found = maps_.find(layer.id);
  if (found == maps_.end()) return std::nullopt;
  LayerCommand command = found->second.command;
  // fovea attend IMAGE ...: the image may have moved since, with its project.
  if (command.command.size() > 2 && workspace_.image) command.command[2] = workspace_.image->path.string();
  return command;
}

void KeptMaps::add_project_section() {
  workspace_.sections.add({.name = "kept_maps",
                           .save = [this] {
                             json files = json::array();
                             for (const auto& [id, entry] : maps_) {
                               if (workspace_.layers.find(id)) files.push_back(entry.file);
                             }
                             return files;
                           },
                           .load = [this](const json& saved) { load(saved); }});
}

void KeptMaps::load(const json& saved) {
  if (!saved.is_array()) return;
  std::vector<std::string> wanted;
  for (const json& entry : saved) {
    const std::string file = entry.is_string() ? entry.get<std::string>() : "";
    if (!file.empty() && file.find('/') == std::string::npos) wanted.push_back(file);   // no path out of the folder
  }
  for (const auto& [id, entry] : maps_) {
    if (std::ranges::find(wanted, entry.file) == wanted.end()) workspace_.layers.remove(id);
  }
  for (const std::string& file : wanted) {
    if (workspace_.layers.find(kPrefix + file)) continue;
    try {
      const auto fresh = std::ranges::find(unsaved_, folder_ / file, [](const auto& entry) { return entry.first; });
      add_layer(file, fresh == unsaved_.end() ? load_kept_map(folder_ / file) : *fresh->second);
    } catch (const Error& error) {
      workspace_.messages.warn("A kept map is no longer there: " + std::string(error.what()));
    }
  }
}

}  // namespace fovea::explore
