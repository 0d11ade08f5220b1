// A segmentation that the window made: what of which image by which model, what came of it, where its files are kept. No torch.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "app/viewer/explore/engine.h"
#include "core/image/image.h"
#include "core/model/config.h"

namespace fovea {

enum class KeepProbabilities { kNo, kYes };

struct SegmentationRequest {
  std::filesystem::path image;
  std::string image_key;                   // of its content: files are kept under it
  std::string model = "aerial", device = "auto";   // model: a name or a folder
  std::optional<Rect> region_level0{};     // the whole image if not given
  KeepProbabilities probabilities = KeepProbabilities::kYes;
};

// Kept as KEY.json beside KEY_mask.tif and KEY_probs.tif.
struct Segmentation {
  std::string key;                         // "3f0c…-91ab…": of the image's content and of all that the labels depend on
  std::string model, model_name, model_hash, device, precision;
  std::optional<Rect> region_level0{};     // as asked for
  Rect area;                               // pixels of level 0 that the mask covers
  std::vector<ClassInfo> classes;
  std::int64_t ignore_index = 255;         // of pixels without data
  std::vector<std::int64_t> class_pixels;
  std::int64_t nodata_pixels = 0;
  double seconds = 0;
  std::filesystem::path mask, probabilities;   // probabilities may be empty
};

nlohmann::json to_json(const Segmentation& segmentation);
// As kept in the folder; nothing if it is not there or its mask is gone.
std::optional<Segmentation> find_segmentation(const std::filesystem::path& folder, const std::string& key);

// Takes it from the folder if it is there, else runs the model and keeps it. On a worker. Errors: as Engine::segment(), Error{kEnvironment}
// "FOLDER: ..." where nothing can be written.
Segmentation segment_or_find(const SegmentationRequest& request, const std::filesystem::path& folder, explore::Engine& engine,
                             Progress& progress, const std::stop_token& stop);

// Writes the mask as fovea segment does, by the extension: .png, .tif, .geojson, .json (COCO). Of the image that was segmented. On a
// worker.
// Errors: Error{kInput} from reading, Error{kEnvironment} "FILE: cannot write: ...".
void save_mask(const Segmentation& segmentation, const std::filesystem::path& image, const std::filesystem::path& file, Progress& progress,
               const std::stop_token& stop);
// The name of that format on the command line: "png", "tif", "geojson", "coco"; and the end of the files' names there.
struct MaskFileKind { const char *extension, *format, *suffix; };
const MaskFileKind& mask_file_kind(const std::filesystem::path& file);
std::vector<std::string> mask_extensions();

// The command that makes the same mask: {"fovea", "segment", IMAGE, "-o", OUTPUT, ...}.
std::vector<std::string> segment_command(const Segmentation& segmentation, const std::filesystem::path& image, const std::string& output,
                                         const std::vector<std::string>& formats);

}  // namespace fovea
