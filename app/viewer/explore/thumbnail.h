// Small pictures of answers beside the canvas.
#pragma once

#include <imgui.h>

#include <memory>

#include "app/viewer/explore/question.h"
#include "app/viewer/gl_objects.h"
#include "app/viewer/layers/colour_table.h"

namespace fovea::explore {

inline constexpr std::int64_t kThumbnailSide = 128;   // pixels, at most

// A part of the grid as colours, [rows, columns, 3]: black where the answer has nothing. Parts larger than kThumbnailSide are shrunk to the
// largest value of each block, so that no peak is lost. Every picture has a range of its own, as clipped_range() makes it.
ImageU8 picture_of(const Reply& reply, const TokenBox& part, ColourTable colours);

class Thumbnail {
 public:
  // Made anew only if it is of another answer, part or table than before.
  void show(const std::shared_ptr<const Reply>& reply, const TokenBox& part, ColourTable colours);
  void clear() { reply_ = nullptr; }
  bool empty() const { return !reply_; }
  ImTextureID texture() const { return static_cast<ImTextureID>(texture_.id()); }
  const TokenBox& part() const { return part_; }
  const Reply& reply() const { return *reply_; }

 private:
  std::shared_ptr<const Reply> reply_;
  TokenBox part_;
  ColourTable colours_ = ColourTable::kViridis;
  gl::Texture texture_;
};

// In a square of the window: the picture in its own proportions, nearest, or a dark square while there is none.
void draw_thumbnail(ImDrawList& list, const Thumbnail& thumbnail, ImVec2 corner, float side);

}  // namespace fovea::explore
