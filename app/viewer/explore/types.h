// What the viewer asks a model about an image and what it gets back. No torch: the user interface includes this.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/image/float_writer.h"
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

// kQuick may round otherwise than `fovea attend`: rollouts read what was kept of the layers.
enum class Rounding { kQuick, kAsAttend };

enum class Fusion { kMean, kMax, kMin, kOne };
struct HeadSelection {
  Fusion fusion = Fusion::kMean;
  std::int64_t head = 0;                   // kOne
  bool operator==(const HeadSelection&) const = default;
};

// What is asked about: a box of tokens, or a brush stroke, or a global token.
struct BrushToken {
  std::int64_t row = 0, column = 0;
  double weight = 1;
  bool operator==(const BrushToken&) const = default;
};
struct Selection {
  std::optional<TokenBox> box{};
  std::vector<BrushToken> brush{};
  std::optional<std::int64_t> global_token{};
  bool empty() const { return !box && brush.empty() && !global_token; }
  bool operator==(const Selection&) const = default;
};

struct Question {
  // A name of analysis::methods(): row, column, rollout, entropy, kept-mass, pca, ...; "prepare" keeps what makes rollouts fast.
  std::string method = "row";
  Selection tokens{};
  std::int64_t layer = -1;                 // 0-based; -1: the last
  HeadSelection heads{};
  double attention_share = 0.5;            // rollouts
  // row: the layer's queries and keys attended with this window instead of its own, 0: densely. kept-mass: the window judged.
  std::optional<std::int64_t> window{};
  Rounding rounding = Rounding::kQuick;
  bool operator==(const Question&) const = default;
};

// The smallest set of tokens that holds a share of a rollout's mass on the grid.
struct FieldContour {
  double share = 0, threshold = 0, radius_pixels = 0;
  std::int64_t tokens = 0;
};

struct Reply {
  Question question;
  TokenBox place;                          // what of the grid plane or colours cover; elsewhere a token map is 0
  ImageF32 plane;                          // [place.rows, place.columns, 1]; empty where colours are the answer
  ImageU8 colours;                         // [place.rows, place.columns, 3]: pca
  std::string unit;                        // of plane: "share of attention"
  double grid_total = 0, global_total = 0; // of token maps: mass on the grid and on global tokens
  std::vector<double> globals;             // mass on each global token
  std::vector<FieldContour> contours;      // of rollouts
  std::vector<double> entropy_by_head, distance_by_head_pixels, global_mass_by_head;   // of statistics
  std::optional<double> outlier_threshold; // of norms
  nlohmann::json numbers;                  // all of it, as `fovea attend --json` writes it
  double elapsed_ms = 0;                   // from asking to the answer
};

}  // namespace fovea::explore
