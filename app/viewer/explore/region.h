// Which pixels are encoded for a region that a person wants to ask about.
#pragma once

#include <cstdint>

#include "app/viewer/explore/types.h"

namespace fovea::explore {

struct RegionShape {
  std::int64_t image_width = 0, image_height = 0;   // pixels of level 0
  std::int64_t patch = 1;
  std::int64_t margin_rows = 0, margin_columns = 0; // tokens
};

struct RegionPlan {
  Rect asked, computed;            // patch-aligned, clipped to the image; asked lies in computed
  TokenBox asked_tokens;
  std::int64_t rows = 0, columns = 0;
  bool whole_image = false;        // computed is the image
  std::int64_t tokens() const { return rows * columns; }
};

// Errors: Error{kUsage} if the region does not touch the image. Regions are cut to the image first.
RegionPlan plan_region(const Rect& region_level0, const RegionShape& shape);

// The tokens of a margin, for a model.
struct MarginTokens { std::int64_t rows = 0, columns = 0; };
MarginTokens margin_tokens(const ModelSummary& model, Margin margin);

// The plan for a request. Without a region, and where a region with its margin is most of the image: the image itself, which is exact.
RegionPlan plan_encoding(const EncodeRequest& request, const ModelSummary& model, std::int64_t image_width, std::int64_t image_height);

// The token under a pixel of the image; none outside what was asked for.
std::optional<TokenBox> token_at(const Encoded& encoded, double x, double y);
// The tokens that a rectangle of pixels touches, cut to what was asked for; none if it lies outside.
std::optional<TokenBox> tokens_of(const Encoded& encoded, double x0, double y0, double x1, double y1);
// The pixels of tokens, in the image: cells at its right and bottom edge may stick out of it.
Rect pixels_of(const Encoded& encoded, const TokenBox& tokens);

}  // namespace fovea::explore
