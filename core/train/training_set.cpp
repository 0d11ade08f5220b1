#include "core/train/training_set.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

#include "core/base/error.h"
#include "core/model/safetensors.h"

namespace fovea {
namespace {

constexpr std::string_view kImageSuffix = ".image", kMaskSuffix = ".mask";
constexpr std::string_view kPackedExtension = ".safetensors";

std::string size_text(std::int64_t width, std::int64_t height) {
  return std::to_string(width) + "x" + std::to_string(height);
}

torch::Tensor read_bytes(const SafetensorsFile& file, const TensorEntry& entry) {
  auto tensor = torch::empty(entry.shape, torch::kUInt8);
  file.read(entry, std::as_writable_bytes(std::span(tensor.data_ptr<std::uint8_t>(), entry.size_bytes)));
  return tensor;
}

[[noreturn]] void refuse(const SafetensorsFile& file, const std::string& key, const std::string& what) {
  throw Error(ErrorKind::kInput, file.path().string() + ": " + key + ": " + what);
}

void check_packed(const SafetensorsFile& file, const TensorEntry& image, const TensorEntry& mask) {
  const bool image_good = image.type == ElementType::kU8 && image.shape.size() == 3 && image.shape[0] > 0 && image.shape[1] > 0 &&
                          image.shape[2] == 3;
  if (!image_good) refuse(file, image.name, "must be U8 of shape [height, width, 3]");
  const bool mask_good = mask.type == ElementType::kU8 && mask.shape.size() == 2;
  if (!mask_good) refuse(file, mask.name, "must be U8 of shape [height, width]");
  if (mask.shape[0] != image.shape[0] || mask.shape[1] != image.shape[1]) {
    refuse(file, mask.name, size_text(mask.shape[1], mask.shape[0]) + ", its image " + size_text(image.shape[1], image.shape[0]));
  }
}

// Counts of the 256 mask values in a rectangle.
std::array<std::int64_t, 256> histogram(const torch::Tensor& mask, const Rect& rect) {
  std::array<std::int64_t, 256> counts{};
  const auto* pixels = mask.data_ptr<std::uint8_t>();
  for (std::int64_t y = rect.y; y < rect.y + rect.height; ++y) {
    const auto* row = pixels + y * mask.size(1);
    for (std::int64_t x = rect.x; x < rect.x + rect.width; ++x) ++counts[row[x]];
  }
  return counts;
}

// An `only` entry or a region that matches nothing is a misspelt name, and would train on the wrong pixels.
void check_names(const DataSource& source, const std::vector<LabelledImage>& images) {
  const auto known = [&](const std::string& name) {
    return std::any_of(images.begin(), images.end(), [&](const LabelledImage& image) { return image.name == name; });
  };
  for (const auto& name : source.only) if (!known(name)) throw Error(ErrorKind::kInput, source.path.string() + ": no image named " + name);
  for (const auto& [name, ignored] : source.regions) {
    if (!known(name)) throw Error(ErrorKind::kInput, source.path.string() + ": no image named " + name);
  }
  if (images.empty()) throw Error(ErrorKind::kInput, source.path.string() + ": no labelled images (X.jpg, X.png or X.tif with X_mask.png)");
}

}  // namespace

Rect region_pixels(const Region& region, std::int64_t width, std::int64_t height) {
  const auto edge = [](double fraction, std::int64_t extent) { return std::llround(fraction * static_cast<double>(extent)); };
  Rect rect;
  rect.x = std::min<std::int64_t>(edge(region.left, width), width - 1);
  rect.y = std::min<std::int64_t>(edge(region.top, height), height - 1);
  rect.width = std::max<std::int64_t>(edge(region.right, width) - rect.x, 1);
  rect.height = std::max<std::int64_t>(edge(region.bottom, height) - rect.y, 1);
  return rect;
}

bool takes(const DataSource& source, const std::string& name) {
  return source.only.empty() || std::find(source.only.begin(), source.only.end(), name) != source.only.end();
}

Rect region_of(const DataSource& source, const std::string& name, std::int64_t width, std::int64_t height) {
  const auto found = source.regions.find(name);
  return region_pixels(found == source.regions.end() ? Region{} : found->second, width, height);
}

std::vector<LabelledImage> read_packed(const DataSource& source, Progress& progress, const std::stop_token& stop) {
  const SafetensorsFile file(source.path);
  std::vector<LabelledImage> images;
  const auto total = static_cast<std::int64_t>(file.entries().size()) / 2;
  for (const auto& entry : file.entries()) {
    throw_if_stopped(stop);
    const std::string_view key = entry.name;
    if (key.ends_with(kMaskSuffix)) {
      const std::string image_key = std::string(key.substr(0, key.size() - kMaskSuffix.size())) + std::string(kImageSuffix);
      if (!file.find(image_key)) refuse(file, entry.name, "no " + image_key + " beside it");
      continue;
    }
    if (!key.ends_with(kImageSuffix)) refuse(file, entry.name, "must be named X.image or X.mask");
    const std::string name(key.substr(0, key.size() - kImageSuffix.size()));
    const TensorEntry* mask = file.find(name + std::string(kMaskSuffix));
    if (!mask) refuse(file, entry.name, "no " + name + std::string(kMaskSuffix) + " beside it");
    check_packed(file, entry, *mask);
    if (!takes(source, name)) continue;
    images.push_back({name, read_bytes(file, entry), read_bytes(file, *mask), region_of(source, name, entry.shape[1], entry.shape[0])});
    progress.report("reading images", static_cast<std::int64_t>(images.size()), total);
  }
  return images;
}

TrainingSet::TrainingSet(const std::vector<DataSource>& sources, const LabelRange& labels, Progress& progress, const std::stop_token& stop)
    : class_pixels_(static_cast<std::size_t>(labels.classes)) {
  for (const auto& source : sources) {
    const bool packed = source.path.extension() == kPackedExtension;
    auto images = packed ? read_packed(source, progress, stop) : read_folder(source, progress, stop);
    check_names(source, images);
    for (auto& image : images) {
      const auto whole = histogram(image.mask, {0, 0, image.mask.size(1), image.mask.size(0)});
      for (std::int64_t value = labels.classes; value < 256; ++value) {
        if (whole[static_cast<std::size_t>(value)] == 0 || value == labels.ignore_index) continue;
        const auto mask_file = source.path / (packed ? image.name + ".mask" : image.name + "_mask.png");
        throw Error(ErrorKind::kInput, mask_file.string() + ": value " + std::to_string(value) + ", model has " +
                                           std::to_string(labels.classes) + " classes");
      }
      const auto used = histogram(image.mask, image.region);
      for (std::size_t i = 0; i < class_pixels_.size(); ++i) class_pixels_[i] += used[i];
      image.weight = source.weight;
      images_.push_back(std::move(image));
    }
  }
  double area = 0;
  for (const auto& image : images_) cumulative_share_.push_back(area += static_cast<double>(image.region.area()) * image.weight);
  for (double& share : cumulative_share_) share /= area;
}

std::optional<PixelSizes> TrainingSet::pixel_sizes() const {
  std::optional<PixelSizes> sizes;
  for (const auto& image : images_) {
    if (!image.pixel_metres) return std::nullopt;
    const double metres = *image.pixel_metres;
    sizes = sizes ? PixelSizes{std::min(sizes->smallest, metres), std::max(sizes->largest, metres)} : PixelSizes{metres, metres};
  }
  return sizes;
}

std::int64_t TrainingSet::size_bytes() const {
  std::int64_t bytes = 0;
  for (const auto& image : images_) bytes += image.image.numel() + image.mask.numel();
  return bytes;
}

void TrainingSet::move(torch::Device device) {
  for (auto& image : images_) {
    image.image = image.image.to(device);
    image.mask = image.mask.to(device);
  }
}

std::size_t TrainingSet::pick(double uniform) const {
  const auto found = std::upper_bound(cumulative_share_.begin(), cumulative_share_.end(), uniform);
  return std::min(static_cast<std::size_t>(found - cumulative_share_.begin()), images_.size() - 1);
}

}  // namespace fovea
