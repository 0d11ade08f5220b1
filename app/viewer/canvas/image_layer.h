// Draws one image of any size as a pyramid of tiles.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "app/viewer/canvas/camera.h"
#include "app/viewer/canvas/tile_loader.h"
#include "app/viewer/canvas/tile_plan.h"
#include "app/viewer/canvas/tile_textures.h"
#include "app/viewer/gl_objects.h"

namespace fovea {

enum class Magnification { kNearest, kSmooth };   // of pixels beyond 1:1

struct ImageAppearance {
  float black = 0, white = 1;            // contrast limits, 0 ... 1
  float gamma = 1;
  bool red = true, green = true, blue = true;
  Magnification magnification = Magnification::kNearest;
};

struct FrameTime {
  double now_s = 0;
  std::size_t max_uploads = 12;          // tiles a frame: 3 MB, well under a millisecond of bus time
};

// Main thread only, while a context is current.
class ImageLayer {
 public:
  // Errors: as open_image(), and of the shaders.
  ImageLayer(TileLoaderOptions options, const std::filesystem::path& shaders, std::int64_t budget_bytes);

  const ImageInfo& info() const { return loader_.info(); }
  PyramidShape shape() const { return {info().width, info().height, loader_.levels()}; }

  // Draws into the current framebuffer, whose viewport is the camera's canvas. Uploads what has arrived and asks for what is missing.
  // Returns whether another frame is needed soon (tiles are fading in or waiting to be uploaded).
  bool draw(const Camera& camera, const ImageAppearance& appearance, const FrameTime& frame);

  TileTextures& textures() { return textures_; }
  std::size_t waiting_tiles() const { return loader_.waiting(); }
  bool complete() const { return complete_; }     // the last frame showed every tile at full resolution, faded in
  std::string take_error() { return loader_.take_error(); }

 private:
  struct Instance {
    float rect_clip[4], rect_texture[4], layer_alpha[2];
  };
  void upload(const FrameTime& frame);
  void draw_quads(const std::vector<TileQuad>& quads, const Camera& camera, const ImageAppearance& appearance, double now_s);

  TileLoader loader_;
  TileTextures textures_;
  gl::Program program_;
  gl::VertexArray vertex_array_;
  gl::Buffer instances_;
  bool complete_ = false;
};

}  // namespace fovea
