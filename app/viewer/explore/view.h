// What a person explores: which tokens, which layer and head, by which method, and what is shown of the answer.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "app/viewer/explore/question.h"

namespace fovea::explore {

// A method as the window offers it.
struct MethodChoice {
  const char* method;                // of Question
  const char* label;
  const char* hint;
  bool needs_tokens, by_head;
};
std::span<const MethodChoice> method_choices();
const MethodChoice& method_choice(std::string_view method);

enum class RangeMode { kPerMap, kFixed };

struct View {
  std::string method = "row";
  std::int64_t layer = 0;
  HeadSelection heads{};
  Selection tokens{};
  double attention_share = 0.5;      // rollouts
  std::int64_t window = 17;          // kept-mass
  // Of the picture.
  double mass_share = 1;             // only the tokens that hold this share are shown
  double clip_percentile = 99.5;
  RangeMode range_mode = RangeMode::kPerMap;
  float fixed_low = 0, fixed_high = 1;
  bool window_outline = true, field_contours = false, outliers = false;
  bool wall = false, windows = false, statistics = false;   // panels that are seen and need answers of their own
  bool operator==(const View&) const = default;
};

}  // namespace fovea::explore
