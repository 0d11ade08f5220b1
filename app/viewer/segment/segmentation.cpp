#include "app/viewer/segment/segmentation.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "core/base/files.h"
#include "core/image/coco.h"
#include "core/image/float_writer.h"
#include "core/image/polygons.h"
#include "core/image/pyramid_cache.h"
#include "core/image/stored_bands.h"
#include "core/segment/label_output.h"

namespace fovea {
namespace {

using nlohmann::json;

constexpr std::int64_t kBudget_bytes = std::int64_t{4} << 30;   // of kept masks and probabilities, on disk
constexpr std::size_t kMaxRecord_bytes = 1 << 20;

// 64-bit FNV-1a: a name for a cache file, no protection.
std::string hash_of(const std::string& text) {
  std::uint64_t hash = 14695981039346656037ull;
  for (const char character : text) hash = (hash ^ static_cast<unsigned char>(character)) * 1099511628211ull;
  char name[24];
  std::snprintf(name, sizeof name, "%016llx", static_cast<unsigned long long>(hash));
  return name;
}

json rect_json(const Rect& rect) { return {rect.x, rect.y, rect.width, rect.height}; }
Rect rect_of(const json& values) { return {values.at(0), values.at(1), values.at(2), values.at(3)}; }

std::string key_of(const SegmentationRequest& request, const explore::ModelSummary& model) {
  json all{model.hash, model.device, model.precision, request.probabilities == KeepProbabilities::kYes, 1};   // 1: of the files' layout
  if (request.region_level0) all.push_back(rect_json(*request.region_level0));
  return request.image_key + "-" + hash_of(all.dump());
}

Segmentation segmentation_from(const json& saved, const std::filesystem::path& folder) {
  Segmentation made{.key = saved.at("key"), .model = saved.at("model"), .model_name = saved.at("model_name"),
                    .model_hash = saved.at("model_hash"),
                    .device = saved.at("device"), .precision = saved.at("precision"), .area = rect_of(saved.at("area")), .classes = {},
                    .ignore_index = saved.at("ignore_index"), .class_pixels = saved.at("class_pixels"),
                    .nodata_pixels = saved.at("nodata_pixels"),
                    .seconds = saved.at("seconds"), .mask = folder / saved.at("mask").get<std::string>(), .probabilities = {}};
  if (!saved.at("region").is_null()) made.region_level0 = rect_of(saved.at("region"));
  if (!saved.at("probabilities").is_null()) made.probabilities = folder / saved.at("probabilities").get<std::string>();
  for (const json& entry : saved.at("classes")) made.classes.push_back({entry.at("name"), entry.at("colour")});
  return made;
}

}  // namespace

json to_json(const Segmentation& made) {
  json classes = json::array();
  for (const ClassInfo& entry : made.classes) classes.push_back({{"name", entry.name}, {"colour", entry.colour}});
  return {{"format", "fovea-segmentation/1"},
          {"key", made.key},
          {"model", made.model},
          {"model_name", made.model_name},
          {"model_hash", made.model_hash},
          {"device", made.device},
          {"precision", made.precision},
          {"region", made.region_level0 ? rect_json(*made.region_level0) : json()},
          {"area", rect_json(made.area)},
          {"classes", classes},
          {"ignore_index", made.ignore_index},
          {"class_pixels", made.class_pixels},
          {"nodata_pixels", made.nodata_pixels},
          {"seconds", made.seconds},
          {"mask", made.mask.filename().string()},
          {"probabilities", made.probabilities.empty() ? json() : json(made.probabilities.filename().string())}};
}

std::optional<Segmentation> find_segmentation(const std::filesystem::path& folder, const std::string& key) {
  try {
    if (key.find_first_not_of("0123456789abcdef-") != std::string::npos) return std::nullopt;   // no path out of the folder
    Segmentation made = segmentation_from(json::parse(read_text_file(folder / (key + ".json"), kMaxRecord_bytes)), folder);
    std::error_code ignored;
    if (!std::filesystem::exists(made.mask, ignored)) return std::nullopt;
    if (!made.probabilities.empty() && !std::filesystem::exists(made.probabilities, ignored)) made.probabilities.clear();
    touch_pyramid(made.mask);
    if (!made.probabilities.empty()) touch_pyramid(made.probabilities);
    return made;
  } catch (const std::exception&) {
    return std::nullopt;   // not there, or not ours
  }
}

Segmentation segment_or_find(const SegmentationRequest& request, const std::filesystem::path& folder, explore::Engine& engine,
                             Progress& progress, const std::stop_token& stop) {
  progress.report("model", 0, 1);
  const auto model = engine.load(request.model, request.device);
  throw_if_stopped(stop);
  const std::string key = key_of(request, *model);
  const bool wants_probabilities = request.probabilities == KeepProbabilities::kYes;
  if (auto known = find_segmentation(folder, key); known && known->probabilities.empty() != wants_probabilities) return *known;
  trim_pyramids(folder, kBudget_bytes, {});
  std::vector<OutputKind> outputs{OutputKind::kMaskTiff};
  if (wants_probabilities) outputs.push_back(OutputKind::kProbabilities);
  const auto summary = engine.segment(
      {.image = request.image, .model = request.model, .device = request.device, .region_level0 = request.region_level0,
       .stem = folder / key, .outputs = outputs}, {}, progress, stop);
  Segmentation made{.key = key, .model = request.model, .model_name = model->config.name, .model_hash = model->hash,
                    .device = model->device,
                    .precision = model->precision, .region_level0 = request.region_level0, .area = summary.area,
                    .classes = model->config.classes,
                    .ignore_index = model->config.ignore_index, .class_pixels = summary.class_pixels,
                    .nodata_pixels = summary.nodata_pixels,
                    .seconds = summary.seconds, .mask = summary.files.at(0), .probabilities = {}};
  if (wants_probabilities) made.probabilities = summary.files.at(1);
  write_file_atomically(folder / (key + ".json"), to_json(made).dump(2) + "\n");
  return made;
}

namespace {

constexpr std::array kMaskFiles{MaskFileKind{".png", "png", "_mask.png"}, MaskFileKind{".tif", "tif", "_mask.tif"},
                                MaskFileKind{".geojson", "geojson", ".geojson"}, MaskFileKind{".json", "coco", "_coco.json"}};
constexpr std::int64_t kRows = 512;        // copied at a time

std::unique_ptr<MaskWriter> mask_writer(const Segmentation& made, const std::filesystem::path& image, const std::filesystem::path& file) {
  const ImageInfo info = open_image(image)->info();
  std::vector<Colour> palette;
  std::vector<std::string> names;
  for (const ClassInfo& entry : made.classes) {
    palette.push_back({entry.colour[0], entry.colour[1], entry.colour[2]});
    names.push_back(entry.name);
  }
  const GeoReference georeference =
      scaled_georeference(info.georeference, static_cast<double>(made.area.x), static_cast<double>(made.area.y), 1);
  const int nodata = may_lack_data(info) ? static_cast<int>(made.ignore_index) : -1;
  const std::string format = mask_file_kind(file).format;
  if (format == "geojson") {
    return create_polygon_writer({.path = file, .width = made.area.width, .height = made.area.height, .palette = palette,
                                  .class_names = names,
                                  .georeference = georeference, .ignore_index = nodata});
  }
  if (format == "coco") {
    return create_coco_writer({.path = file, .image_file_name = image.filename().string(), .width = made.area.width,
                               .height = made.area.height,
                               .class_names = names, .ignore_index = nodata});
  }
  return create_mask_writer({.path = file, .format = format == "png" ? MaskFormat::kPng : MaskFormat::kTiff, .width = made.area.width,
                             .height = made.area.height,
                             .palette = palette, .class_names = names, .georeference = georeference, .nodata = nodata});
}

}  // namespace

const MaskFileKind& mask_file_kind(const std::filesystem::path& file) {
  const auto found =
      std::ranges::find(kMaskFiles, file.extension().string(), [](const MaskFileKind& kind) { return std::string(kind.extension); });
  return found == kMaskFiles.end() ? kMaskFiles.front() : *found;
}

std::vector<std::string> mask_extensions() {
  std::vector<std::string> extensions;
  for (const MaskFileKind& kind : kMaskFiles) extensions.emplace_back(kind.extension);
  return extensions;
}

void save_mask(const Segmentation& made, const std::filesystem::path& image, const std::filesystem::path& file, Progress& progress,
               const std::stop_token& stop) {
  const auto writer = mask_writer(made, image, file);
  StoredBands mask(made.mask);
  for (std::int64_t y = 0; y < made.area.height; y += kRows) {
    throw_if_stopped(stop);
    progress.report("rows", y, made.area.height);
    writer->append(mask.read({0, y, made.area.width, std::min(kRows, made.area.height - y)}, 0, 0));
  }
  writer->finish();
}

std::vector<std::string> segment_command(const Segmentation& made, const std::filesystem::path& image, const std::string& output,
                                         const std::vector<std::string>& formats) {
  std::vector<std::string> command{"fovea", "segment", image.string(), "-o", output, "--model", made.model, "--device", made.device,
                                   "--precision", made.precision};
  if (made.region_level0) {
    const Rect& area = made.area;
    command.insert(command.end(), {"--window", std::to_string(area.x) + "," + std::to_string(area.y) + "," + std::to_string(area.width) +
                                                   "," + std::to_string(area.height)});
  }
  for (const std::string& format : formats) {
    if (format == "overlay") command.push_back("--overlay");
    else command.insert(command.end(), {"--format", format});
  }
  return command;
}

}  // namespace fovea
