// The desktop viewer: what is open, and one frame of the window.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "app/viewer/actions/command_palette.h"
#include "app/viewer/actions/help_window.h"
#include "app/viewer/canvas/canvas_panel.h"
#include "app/viewer/features.h"
#include "app/viewer/graveyard.h"
#include "app/viewer/layers/layer_painter.h"
#include "app/viewer/panels/info_panels.h"
#include "app/viewer/panels/open_dialog.h"
#include "app/viewer/window.h"
#include "app/viewer/workspace.h"

namespace fovea {

class Viewer {
 public:
  explicit Viewer(Window& window);

  // Errors of opening are shown in the window, not thrown: what was open stays.
  void open(const std::filesystem::path& path);
  void close();

  // Draws the whole window. Returns whether another frame is needed at once.
  bool frame();
  // Nothing is loading or moving: what a screenshot waits for.
  bool settled() const { return settled_; }
  Workspace& workspace() { return workspace_; }
  const CanvasPanel& canvas() const { return canvas_; }

 private:
  void add_file_actions();
  void add_edit_actions();
  void add_view_actions();
  void add_layer_actions();
  void show_recent_menu();
  void set_theme(Theme theme);
  void keep_settings();
  void show_status(const CanvasState& state);
  void show_pixel(Point image_point);
  void show_empty_state();
  void collect_errors();
  void watch_file(double now_s);

  Window& window_;
  Graveyard graveyard_;                    // before the workspace: outlives its layers
  TilePool pool_;
  TileCache cache_;
  Workspace workspace_;
  LayerPainter painter_;
  CanvasPanel canvas_;
  CommandPalette palette_;
  HelpWindow help_;
  OpenDialog dialog_;
  FrameTimes frame_times_;
  std::vector<std::unique_ptr<Feature>> features_;   // after the workspace: destroyed first
  std::filesystem::file_time_type file_time_;        // of the open image when it was opened, or when last spoken of
  bool file_gone_ = false;
  double next_look_s_ = 0;
  double last_frame_s_ = 0;
  int frames_ = 0;
  bool settled_ = false;
};

}  // namespace fovea
