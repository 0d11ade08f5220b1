// Folders of image files; compiled where core/image is (folder_set_no_images.cpp stands in for it elsewhere).
#include <algorithm>
#include <cstring>
#include <system_error>

#include "core/base/error.h"
#include "core/image/image_source.h"
#include "core/image/pixel_size.h"
#include "core/image/writers.h"
#include "core/train/training_set.h"

namespace fovea {
namespace {

constexpr std::string_view kMaskEnding = "_mask";

// Bands of rows, so that no second copy of a large image exists while it is read.
torch::Tensor read_image(ImageSource& source, const std::stop_token& stop) {
  constexpr std::int64_t kRows = 1024;
  const auto& info = source.info();
  auto image = torch::empty({info.height, info.width, 3}, torch::kUInt8);
  for (std::int64_t y = 0; y < info.height; y += kRows) {
    throw_if_stopped(stop);
    const ImageU8 band = source.read_rgb({0, y, info.width, std::min(kRows, info.height - y)});
    std::memcpy(image.data_ptr<std::uint8_t>() + y * info.width * 3, band.samples().data(), band.samples().size());
  }
  return image;
}

torch::Tensor read_mask(const std::filesystem::path& path) {
  const ImageU8 mask = read_index_mask(path);
  auto tensor = torch::empty({mask.height(), mask.width()}, torch::kUInt8);
  std::memcpy(tensor.data_ptr<std::uint8_t>(), mask.samples().data(), mask.samples().size());
  return tensor;
}

std::vector<std::filesystem::path> list_images(const std::filesystem::path& folder) {
  std::error_code code;
  std::vector<std::filesystem::path> files;
  const auto is_image = [](const std::filesystem::directory_entry& entry) {
    return entry.is_regular_file() && has_image_extension(entry.path()) && !entry.path().stem().string().ends_with(kMaskEnding);
  };
  auto entry = std::filesystem::directory_iterator(folder, code);
  for (; !code && entry != std::filesystem::directory_iterator(); entry.increment(code)) {
    if (is_image(*entry)) files.push_back(entry->path());
  }
  if (code) throw Error(ErrorKind::kInput, folder.string() + ": " + code.message());
  std::sort(files.begin(), files.end());
  for (std::size_t i = 1; i < files.size(); ++i) {
    if (files[i].stem() == files[i - 1].stem()) {
      throw Error(ErrorKind::kInput, files[i].string() + ": shares its mask with " + files[i - 1].filename().string());
    }
  }
  return files;
}

}  // namespace

std::vector<LabelledImage> read_folder(const DataSource& source, Progress& progress, const std::stop_token& stop) {
  std::vector<LabelledImage> images;
  const auto files = list_images(source.path);
  for (const auto& file : files) {
    const std::string name = file.stem().string();
    if (!takes(source, name)) continue;
    const auto mask_file = source.path / (name + std::string(kMaskEnding) + ".png");
    if (!std::filesystem::exists(mask_file)) {
      throw Error(ErrorKind::kInput, file.string() + ": no mask " + mask_file.filename().string() + " beside it");
    }
    const auto source_file = open_image(file);
    auto image = read_image(*source_file, stop);
    auto mask = read_mask(mask_file);
    if (mask.size(0) != image.size(0) || mask.size(1) != image.size(1)) {
      throw Error(ErrorKind::kInput, mask_file.string() + ": " + std::to_string(mask.size(1)) + "x" + std::to_string(mask.size(0)) +
                                         ", its image " + std::to_string(image.size(1)) + "x" + std::to_string(image.size(0)));
    }
    const Rect region = region_of(source, name, image.size(1), image.size(0));
    images.push_back({name, std::move(image), std::move(mask), region});
    images.back().pixel_metres = pixel_size_metres(source_file->info());
    progress.report("reading images", static_cast<std::int64_t>(images.size()), static_cast<std::int64_t>(files.size()));
  }
  return images;
}

}  // namespace fovea
