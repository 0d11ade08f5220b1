#include "app/viewer/explore/thumbnail.h"

#include <algorithm>

#include "app/viewer/explore/token_plane.h"

namespace fovea::explore {
namespace {

constexpr double kClip = 99.5;   // percentile whose value has the brightest colour

float value_at(const Reply& reply, std::int64_t row, std::int64_t column) {
  return reply.place.contains(row, column) ? reply.plane.row(row - reply.place.row)[column - reply.place.column] : 0;
}

}  // namespace

ImageU8 picture_of(const Reply& reply, const TokenBox& part, ColourTable colours) {
  const std::int64_t step = std::max<std::int64_t>(1, (std::max(part.rows, part.columns) + kThumbnailSide - 1) / kThumbnailSide);
  ImageU8 picture((part.columns + step - 1) / step, (part.rows + step - 1) / step, 3);
  const ValueRange range = clipped_range(reply.plane.samples(), kClip);
  const double extent = range.high - range.low;
  const ColourEntries& entries = colour_entries(colours);
  for (std::int64_t y = 0; y < picture.height(); ++y) {
    for (std::int64_t x = 0; x < picture.width(); ++x) {
      float value = value_at(reply, part.row + y * step, part.column + x * step);
      for (std::int64_t row = y * step; row < std::min((y + 1) * step, part.rows); ++row) {
        for (std::int64_t column = x * step; column < std::min((x + 1) * step, part.columns); ++column) {
          value = std::max(value, value_at(reply, part.row + row, part.column + column));
        }
      }
      const double share = extent > 0 ? std::clamp((value - range.low) / extent, 0.0, 1.0) : 0;
      std::copy_n(entries[static_cast<std::size_t>(share * 255 + 0.5)].begin(), 3, picture.row(y) + 3 * x);
    }
  }
  return picture;
}

void Thumbnail::show(const std::shared_ptr<const Reply>& reply, const TokenBox& part, ColourTable colours) {
  if (texture_ && reply_ == reply && part_ == part && colours_ == colours) return;
  reply_ = reply;
  part_ = part;
  colours_ = colours;
  const ImageU8 picture = picture_of(*reply, part, colours);
  if (!texture_) texture_ = gl::create_texture();
  glBindTexture(GL_TEXTURE_2D, texture_.id());
  glPixelStorei(GL_UNPACK_ALIGNMENT, 1);
  glTexImage2D(GL_TEXTURE_2D, 0, GL_RGB8, static_cast<GLsizei>(picture.width()), static_cast<GLsizei>(picture.height()), 0, GL_RGB,
               GL_UNSIGNED_BYTE, picture.samples().data());
  gl::set_sampling(GL_NEAREST);
}

void draw_thumbnail(ImDrawList& list, const Thumbnail& thumbnail, ImVec2 corner, float side) {
  const ImVec2 end{corner.x + side, corner.y + side};
  list.AddRectFilled(corner, end, ImGui::GetColorU32(ImGuiCol_FrameBg));
  if (thumbnail.empty()) return;
  const TokenBox& part = thumbnail.part();
  const float scale = side / static_cast<float>(std::max(part.rows, part.columns));
  const float width = scale * static_cast<float>(part.columns), height = scale * static_cast<float>(part.rows);
  const ImVec2 low{corner.x + (side - width) / 2, corner.y + (side - height) / 2};
  // Values are squares: ImGui's own sampler would blur them.
  list.AddCallback(ImGui::GetPlatformIO().DrawCallback_SetSamplerNearest, nullptr);
  list.AddImage(thumbnail.texture(), low, {low.x + width, low.y + height});
  list.AddCallback(ImGui::GetPlatformIO().DrawCallback_SetSamplerLinear, nullptr);
}

}  // namespace fovea::explore
