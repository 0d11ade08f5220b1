// The desktop viewer: what is open, and one frame of the window.
#pragma once

#include <filesystem>
#include <functional>
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
#include "app/viewer/panels/file_dialog.h"
#include "app/viewer/project/file_watch.h"
#include "app/viewer/window.h"
#include "app/viewer/workspace.h"

namespace fovea {

class Viewer {
 public:
  // Seconds that only grow; movements and fading follow it. A test's own makes them independent of the machine's speed.
  using Clock = std::function<double()>;
  explicit Viewer(Window& window, Clock clock = steady_seconds);

  // An image, a project, a mask, a model's folder. Errors are shown in the window, not thrown: what was open stays. Returns whether it is
  // open now.
  bool open(const std::filesystem::path& path);
  void close();

  // Draws the whole window. Returns whether another frame is needed at once.
  bool frame();
  // Nothing is loading or moving: what a screenshot waits for.
  bool settled() const { return settled_; }
  // The window has another context: everything is drawn anew, out of main memory or from the files.
  void context_renewed();
  // The program ends with an error: what was not saved is offered at the next start.
  void keep_unsaved();
  Workspace& workspace() { return workspace_; }
  const CanvasPanel& canvas() const { return canvas_; }

 private:
  static double steady_seconds();
  void add_file_actions();
  void add_window_actions();
  void show_recent_menu();
  void set_theme(Theme theme);
  void keep_settings();
  void connect_workspace();
  bool open_image_file(const std::filesystem::path& path);
  void ask_for_image();
  void hold_back_quitting();
  CanvasState show_canvas(double now_s, double elapsed_s);
  bool input_is_under_way();
  bool settle_contrast();
  void collect_errors();

  Window& window_;
  Clock clock_;
  Graveyard graveyard_;                    // before the workspace: outlives its layers
  TilePool pool_;
  TileCache cache_;
  Workspace workspace_;
  LayerPainter painter_;
  CanvasPanel canvas_;
  CommandPalette palette_;
  HelpWindow help_;
  FileDialog dialog_;
  std::vector<std::function<void(ImageU8)>> captures_;   // wait for the next frame
  bool capturing_ = false;                                // in this frame
  FrameTimes frame_times_;
  std::vector<std::unique_ptr<Feature>> features_;   // after the workspace: destroyed first
  FileWatch file_watch_;
  std::filesystem::path chosen_;                     // on the start page, in this frame
  std::filesystem::path last_folder_;                // of what somebody wanted to open
  double last_frame_s_ = 0;
  int frames_ = 0, frames_after_input_ = 0;
  bool settled_ = false;
};

}  // namespace fovea
