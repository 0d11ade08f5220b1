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
#include "app/viewer/layers/layer_list.h"
#include "app/viewer/layers/tiled_layer.h"
#include "app/viewer/main_thread.h"
#include "app/viewer/messages.h"
#include "app/viewer/panels/panel_set.h"
#include "app/viewer/project/history.h"
#include "app/viewer/settings.h"
#include "core/image/image_source.h"

namespace fovea {

struct OpenImage {
  std::filesystem::path path;            // absolute
  ImageInfo info;
};

struct Workspace {
  explicit Workspace(TileServices services) : tiles(std::move(services)) {}

  std::optional<OpenImage> image;
  LayerList layers;                      // layers[0] is the image: id "image"
  Camera camera;
  Comparison comparison;
  Settings settings;
  ActionTable actions;
  PanelSet panels{actions};
  ToolBox tools{actions};
  Messages messages;                     // log, and what is shown over the canvas
  MainThread main_thread;                // post() from any thread; runs in the next frame
  ProjectSections sections;              // what the project file keeps; undo too
  History history{sections};
  TileServices tiles;                    // for LabelLayer and other tiled layers

  // Called after another image was opened (layers hold just that image), and with image empty after it was closed.
  std::vector<std::function<void()>> on_image_changed;
  // More for the status line at a place of the image, as "class road", "token 12, 40"; "" for nothing.
  std::vector<std::function<std::string(Point)>> status;
  // Painted over the canvas whatever the tool (window outlines, markers).
  std::vector<std::function<void(const CanvasPainter&)>> decorations;
  // Called every frame before drawing; returns whether another frame is needed soon.
  std::vector<std::function<bool()>> every_frame;
};

}  // namespace fovea
