// What the viewer encodes of an image, and what it then knows. No torch: the user interface includes this.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "core/image/image.h"
#include "core/model/config.h"

namespace fovea::explore {

// What a failure says of the machine, so that the window can offer a way on: a smaller part, the CPU.
enum class Trouble { kNone, kMemory, kDeviceMemory, kDeviceLost };

// A loaded model, as far as a person chooses by it.
struct ModelSummary {
  std::string name_or_path;                // as it was asked for
  ModelConfig config;
  std::string hash;                        // of the model's folder; empty for a model that has none
  std::string device, precision;           // "cpu", "cuda:0"; "float32", "bfloat16"
  std::int64_t halo_rows = 0, halo_columns = 0;   // tokens: what all layers together look past a token
  std::string region_caveat;               // why a region, halo included, differs from the whole image; empty: it does not
  std::int64_t bytes_per_token = 0;        // of an encoding in memory
};

// How much of its surroundings a region is encoded with.
enum class Margin {
  kAuto,     // kFull where that makes the region exact, else kShort
  kNone,
  kShort,    // one layer's reach: borders look much as in the whole image
  kFull,     // the reach of all layers
};

struct EncodeRequest {
  std::filesystem::path image;
  std::string model = "aerial";
  std::string device = "auto";
  std::optional<Rect> region_level0{};     // the whole image if not given
  Margin margin = Margin::kAuto;
};

// Tokens of the encoded grid.
struct TokenBox {
  std::int64_t row = 0, column = 0, rows = 1, columns = 1;
  bool operator==(const TokenBox&) const = default;
  bool contains(std::int64_t y, std::int64_t x) const { return y >= row && x >= column && y < row + rows && x < column + columns; }
};

// An encoded part of an image: what questions are about.
struct Encoded {
  EncodeRequest request;
  std::shared_ptr<const ModelSummary> model;
  Rect asked, computed;                    // pixels of level 0; computed: with the margin, patch-aligned, clipped to the image
  TokenBox asked_tokens;                   // in the grid of computed
  std::int64_t rows = 0, columns = 0;      // grid of computed
  bool whole_image = false;
  std::string caveat;                      // why numbers are approximate; empty: they are those of the whole image
  double seconds = 0;
  std::int64_t bytes = 0;                  // kept in memory
};

}  // namespace fovea::explore
