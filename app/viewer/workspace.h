// What every part of the viewer shares: the open image, its layers, and the places to register with. Main thread only; workers post their
// results with on_main().
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "app/viewer/actions/action_table.h"
#include "app/viewer/canvas/camera.h"
#include "app/viewer/canvas/comparison.h"
#include "app/viewer/canvas/tool.h"
#include "app/viewer/export/exporter.h"
#include "app/viewer/layers/layer_list.h"
#include "app/viewer/layers/tiled_layer.h"
#include "app/viewer/main_thread.h"
#include "app/viewer/messages.h"
#include "app/viewer/model_choice.h"
#include "app/viewer/panels/file_dialog.h"
#include "app/viewer/panels/panel_set.h"
#include "app/viewer/project/history.h"
#include "app/viewer/settings.h"
#include "core/image/image_source.h"

namespace fovea {

struct OpenImage {
  std::filesystem::path path;            // absolute
  ImageInfo info;
  std::string key = {};                  // of its content: names what is kept about it
};

// Long work that a person waits for, whatever panel is open.
struct RunningWork {
  std::string what;                      // "Segmenting"
  float share = 0;                       // done of it
};

struct Workspace {
  explicit Workspace(TileServices services) : tiles(std::move(services)) {}

  std::optional<OpenImage> image;
  LayerList layers;                      // layers[0] is the image: id "image"
  Camera camera;
  Comparison comparison;
  Settings settings;
  ModelChoice model;                     // for attention and segmentation
  ActionTable actions;
  PanelSet panels{actions};
  ToolBox tools{actions};
  Messages messages;                     // log, and what is shown over the canvas
  MainThread main_thread;                // post() from any thread; runs in the next frame
  ProjectSections sections;              // what the project file keeps; undo too
  History history{sections};
  TileServices tiles;                    // for LabelLayer and other tiled layers
  Exporter exports{messages, [this] { if (main_thread.wake) main_thread.wake(); }};
  std::function<void(FileQuestion)> ask_file;   // opens a file dialog
  // Calls with the canvas as it is drawn next, [h, w, 3], without what only a mouse needs.
  std::function<void(std::function<void(ImageU8)>)> capture_view;

  // Opens a file of whatever kind; false: it could not be, and the messages say why.
  std::function<bool(const std::filesystem::path&)> open;
  // Take files and folders that are no images: projects, masks, models. True: it was theirs (and opened, or the messages say why not).
  std::vector<std::function<bool(const std::filesystem::path&)>> openers;
  std::function<void(const std::string&)> set_title;
  std::function<void()> quit;
  std::function<void()> keep_settings;   // on the disk, after a change of `settings`
  // Asked before the window closes; false: not yet.
  std::vector<std::function<bool()>> may_quit;

  // Called after another image was opened (layers hold just that image), and with image empty after it was closed.
  std::vector<std::function<void()>> on_image_changed;
  // Escape: each stops its long work, if there is any, and says whether there was.
  std::vector<std::function<bool()>> on_cancel;
  // What runs now, for the status line.
  std::vector<std::function<std::optional<RunningWork>()>> running;
  // More for the status line at a place of the image, as "class road", "token 12, 40"; "" for nothing.
  std::vector<std::function<std::string(Point)>> status;
  // How the data of a layer can be made again; nothing for layers of others.
  std::vector<std::function<std::optional<LayerCommand>(const Layer&)>> commands;
  // Painted over the canvas whatever the tool (window outlines, markers).
  std::vector<std::function<void(const CanvasPainter&)>> decorations;
  // OpenGL has another context, in which nothing is drawn yet: what is not made again where it is used, is to be asked for again.
  std::vector<std::function<void()>> on_context_renewed;
  // The program ends with an error: nobody can be asked, what was not saved is kept for the next start.
  std::vector<std::function<void()>> on_failure;
  // Called every frame before drawing; returns whether another frame is needed soon.
  std::vector<std::function<bool()>> every_frame;
};

}  // namespace fovea
