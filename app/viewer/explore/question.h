// What the viewer asks a model about what was encoded, and what it gets back. No torch: the user interface includes this.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "app/viewer/explore/types.h"
#include "core/image/float_writer.h"
#include "core/image/image.h"

namespace fovea::explore {

// kQuick may round otherwise than `fovea attend`: rollouts read what was kept of the layers, in half precision.
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
