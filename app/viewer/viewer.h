// The desktop viewer: what is open, and one frame of the window.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "app/viewer/canvas/canvas_panel.h"
#include "app/viewer/window.h"

namespace fovea {

class Viewer {
 public:
  explicit Viewer(Window& window);

  // Errors of opening are shown in the window, not thrown: what was open stays.
  void open(const std::filesystem::path& path);

  // Draws the whole window. Returns whether another frame is needed at once.
  bool frame();
  // Nothing is loading or moving: what a screenshot waits for.
  bool settled() const { return settled_; }
  const std::string& message() const { return message_; }

 private:
  void show_status(const CanvasState& state);
  void show_empty_state();
  void handle_keys();

  Window& window_;
  std::filesystem::path path_;
  std::unique_ptr<ImageLayer> image_;
  ImageAppearance appearance_;
  CanvasPanel canvas_;
  std::string message_;
  double last_frame_s_ = 0;
  bool settled_ = false;
};

}  // namespace fovea
