#include "app/viewer/segment/mask_feature.h"

#include <algorithm>
#include <cmath>

#include "app/viewer/layers/label_layer.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPrefix = "mask:";   // of layers' ids
constexpr const char* kSuffix = "_mask";
constexpr double kSameShape = 0.01;        // of aspect ratios

// For maps that bring no colours: far apart for neighbouring indices, and in lightness too.
std::array<std::uint8_t, 3> some_colour(std::size_t index) {
  static constexpr std::array<std::array<std::uint8_t, 3>, 8> kColours{{{0, 0, 0},
                                                                        {230, 159, 0},
                                                                        {86, 180, 233},
                                                                        {0, 158, 115},
                                                                        {240, 228, 66},
                                                                        {0, 114, 178},
                                                                        {213, 94, 0},
                                                                        {204, 121, 167}}};   // Okabe and Ito 2008
  return kColours[index % kColours.size()];
}

std::vector<LabelClass> entries_of(const BandsInfo& info) {
  std::vector<LabelClass> entries;
  const std::size_t count = std::max(info.palette.size(), info.names.size());
  for (std::size_t i = 0; i < (count > 0 ? count : 256); ++i) {
    LabelClass entry{.name = i < info.names.size() ? info.names[i] : "class " + std::to_string(i), .colour = some_colour(i)};
    if (i < info.palette.size()) entry.colour = {info.palette[i].red, info.palette[i].green, info.palette[i].blue};
    entry.visible = static_cast<int>(i) != info.nodata && !(count == 0 && (i == 0 || i == 255));
    entries.push_back(std::move(entry));
  }
  return entries;
}

}  // namespace

bool looks_like_mask(const fs::path& path) {
  std::string name = path.stem().string();
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const bool named = name.find("mask") != std::string::npos || name.find("label") != std::string::npos;
  try {
    const StoredBands file(path);
    return file.info().bands == 1 && (named || !file.info().palette.empty());
  } catch (const std::exception&) {
    return false;   // whatever it is, it is no mask
  }
}

fs::path image_of_mask(const fs::path& mask) {
  const std::string stem = mask.stem().string();
  if (!stem.ends_with(kSuffix)) return {};
  const fs::path base = mask.parent_path() / stem.substr(0, stem.size() - std::string_view(kSuffix).size());
  std::error_code ignored;
  for (const std::string& extension : image_extensions()) {
    if (fs::exists(fs::path(base) += extension, ignored)) return fs::path(base) += extension;
  }
  return {};
}

MaskFeature::MaskFeature(Workspace& workspace) : workspace_(workspace) {
  workspace_.openers.push_back([this](const fs::path& path) { return open(path); });
  workspace_.on_image_changed.push_back([this] { files_.clear(); });
  add_project_section();
}

bool MaskFeature::open(const fs::path& path) {
  if (is_model_folder(path)) {
    std::error_code ignored;
    workspace_.model.choose(fs::absolute(path, ignored).lexically_normal().string());
    workspace_.history.touch("Choose model");
    workspace_.messages.info("Model " + path.filename().string() + ": press E to see what it attends to, P to segment with it");
    return true;
  }
  const std::string extension = path.extension().string();
  if (extension != ".png" && extension != ".tif" && extension != ".tiff") return false;
  if (!looks_like_mask(path)) return false;
  if (!workspace_.image) {
    const fs::path image = image_of_mask(path);
    return !image.empty() && workspace_.open(image) && add_mask(path);
  }
  return path != workspace_.image->path && add_mask(path);
}

bool MaskFeature::add_mask(const fs::path& path) {
  try {
    const BandsInfo info = StoredBands(path).info();
    const ImageInfo& image = workspace_.image->info;
    const double shape = static_cast<double>(info.width) / static_cast<double>(info.height),
                 wanted = static_cast<double>(image.width) / static_cast<double>(image.height);
    if (std::abs(shape / wanted - 1) > kSameShape) {
      // An image of its own, unless its name says that it is a mask.
      if (!path.stem().string().ends_with(kSuffix)) return false;
      throw Error(ErrorKind::kInput, path.string() + ": " + std::to_string(info.width) + " x " + std::to_string(info.height) +
                                         " pixels do not fit the image of " + std::to_string(image.width) + " x " +
                                         std::to_string(image.height));
    }
    const RectD whole{0, 0, static_cast<double>(image.width), static_cast<double>(image.height)};
    const std::string id = kPrefix + path.filename().string();
    auto layer =
        std::make_unique<LabelLayer>(id, path.filename().string(), map_in_file(path, 0, whole), entries_of(info), workspace_.tiles);
    layer->removable = true;
    workspace_.layers.add(std::move(layer));
    workspace_.layers.select(id);
    std::error_code ignored;
    files_[id] = fs::absolute(path, ignored);
    workspace_.history.touch("Add " + path.filename().string());
  } catch (const Error& error) {
    workspace_.messages.error(error.what());
  }
  return true;
}

void MaskFeature::add_project_section() {
  workspace_.sections.add({.name = "masks",
                           .save = [this] {
                             nlohmann::json paths = nlohmann::json::array();
                             for (const auto& [id, path] : files_) {
                               if (workspace_.layers.find(id)) {
                                 paths.push_back(path.lexically_proximate(workspace_.image->path.parent_path()).string());
                               }
                             }
                             return paths;
                           },
                           .load = [this](const nlohmann::json& saved) {
                             if (!saved.is_array() || !workspace_.image) return;
                             std::map<std::string, fs::path> wanted;
                             for (const auto& entry : saved) {
                               if (!entry.is_string()) continue;
                               const fs::path path = (workspace_.image->path.parent_path() / entry.get<std::string>()).lexically_normal();
                               wanted[kPrefix + path.filename().string()] = path;
                             }
                             for (const auto& [id, path] : std::map(files_)) {
                               if (!wanted.contains(id)) workspace_.layers.remove(id), files_.erase(id);
                             }
                             for (const auto& [id, path] : wanted) {
                               if (!workspace_.layers.find(id)) add_mask(path);
                             }
                           }});
}

std::unique_ptr<Feature> make_mask_feature(Workspace& workspace) { return std::make_unique<MaskFeature>(workspace); }

}  // namespace fovea
