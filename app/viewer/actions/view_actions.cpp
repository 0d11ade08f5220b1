#include "app/viewer/actions/view_actions.h"

#include <algorithm>

namespace fovea {

void add_edit_actions(Workspace& workspace) {
  History& history = workspace.history;
  workspace.actions.add({.id = "edit.undo", .title = "Undo", .group = "Edit", .shortcut = ImGuiMod_Ctrl | ImGuiKey_Z,
                         .run = [&history] { history.undo(); },
                          .enabled = [&history] { return history.can_undo(); }, .repeats = true});
  workspace.actions.add({.id = "edit.redo", .title = "Redo", .group = "Edit", .shortcut = ImGuiMod_Ctrl | ImGuiMod_Shift | ImGuiKey_Z,
                         .run = [&history] { history.redo(); },
                          .enabled = [&history] { return history.can_redo(); }, .repeats = true});
  workspace.actions.add(
      {.id = "edit.cancel",
       .title = "Cancel what runs",
       .group = "Edit",
       .shortcut = ImGuiKey_Escape,
       .tip = "Encoding, segmenting or saving: the next press the next of them",
       .run = [&workspace] { std::ranges::any_of(workspace.on_cancel, [](const auto& cancel) { return cancel(); }); },
       .enabled = [&workspace] { return std::ranges::any_of(workspace.running, [](const auto& work) { return work().has_value(); }); }});
}

void add_view_actions(Workspace& workspace) {
  Camera& camera = workspace.camera;
  const auto has_image = [&workspace] { return workspace.image.has_value(); };
  const auto centre = [&camera] { return Point{camera.canvas().width / 2, camera.canvas().height / 2}; };
  const auto add_view = [&](const char* id, const char* title, ImGuiKeyChord key, std::function<void()> run) {
    workspace.actions.add({.id = id, .title = title, .group = "View", .shortcut = key, .run = std::move(run), .enabled = has_image});
  };
  add_view("view.fit", "Fit to window", ImGuiKey_0, [&camera] { camera.fit(); });
  add_view("view.one_to_one", "Actual pixels", ImGuiMod_Ctrl | ImGuiKey_0, [&camera, centre] { camera.one_to_one(centre()); });
  add_view("view.zoom_in", "Zoom in", ImGuiKey_Equal, [&camera, centre] { camera.zoom_at(centre(), 1.5); });
  add_view("view.zoom_out", "Zoom out", ImGuiKey_Minus, [&camera, centre] { camera.zoom_at(centre(), 1 / 1.5); });
  const auto step = [&camera] { return 0.2 * std::min(camera.canvas().width, camera.canvas().height); };
  const auto add_pan = [&](const char* id, const char* title, ImGuiKey key, Point direction) {
    workspace.actions.add({.id = id, .title = title, .group = "View/Move", .shortcut = key,
                            .run = [&camera, step, direction] { camera.pan({direction.x * step(), direction.y * step()}); },
                            .enabled = has_image, .repeats = true});
  };
  add_pan("view.left", "Left", ImGuiKey_LeftArrow, {1, 0});
  add_pan("view.right", "Right", ImGuiKey_RightArrow, {-1, 0});
  add_pan("view.up", "Up", ImGuiKey_UpArrow, {0, 1});
  add_pan("view.down", "Down", ImGuiKey_DownArrow, {0, -1});
  const auto add_switch = [&](const char* id, const char* title, ImGuiKeyChord key, const char* tip, std::function<void()> run,
                              std::function<bool()> checked) {
    workspace.actions.add({.id = id, .title = title, .group = "View", .shortcut = key, .tip = tip, .run = std::move(run),
                           .checked = std::move(checked)});
  };
  Settings& settings = workspace.settings;
  Comparison& comparison = workspace.comparison;
  add_switch(
      "view.minimap", "Minimap", ImGuiKey_M, "The whole image small", [&settings] { settings.minimap = !settings.minimap; },
      [&settings] { return settings.minimap; });
  add_switch(
      "view.scale_bar", "Scale bar", 0, "", [&settings] { settings.scale_bar = !settings.scale_bar; },
      [&settings] { return settings.scale_bar; });
  add_switch("view.curtain", "Curtain", ImGuiKey_C, "Show a layer on one side of a line only",
             [&workspace, &comparison] {
               if (comparison.curtain.on) comparison.curtain.on = false;
               else comparison.start_curtain(workspace.layers);
               workspace.history.touch("Curtain");
             },
             [&comparison] { return comparison.curtain.on; });
  add_switch("view.quad", "Four views", ImGuiKey_Q, "The image and three overlays side by side, moving together",
             [&workspace, &comparison] {
               comparison.arrangement = comparison.arrangement == Arrangement::kQuad ? Arrangement::kSingle : Arrangement::kQuad;
               workspace.history.touch("Four views");
             },
             [&comparison] { return comparison.arrangement == Arrangement::kQuad; });
  workspace.actions.add({.id = "view.reset_layout", .title = "Reset layout", .group = "View/Panels",
                         .run = [&workspace] { workspace.panels.reset_layout(); }});
}

void add_layer_actions(Workspace& workspace) {
  workspace.actions.add({.id = "layer.remove", .title = "Remove layer", .group = "Layers", .shortcut = ImGuiKey_Delete,
                         .tip = "The one chosen in the panel; undo brings it back",
                         .run = [&workspace] {
                           const Layer& layer = *workspace.layers.selected();
                           workspace.history.touch("Remove " + layer.name);
                           workspace.layers.remove(std::string(layer.id));
                         },
                         .enabled = [&workspace] { return workspace.layers.selected() && workspace.layers.selected()->removable; }});
  for (int digit = 1; digit <= 9; ++digit) {
    const auto index = static_cast<std::size_t>(digit - 1);
    workspace.actions.add({.id = "layer.toggle_" + std::to_string(digit), .title = "Show or hide layer " + std::to_string(digit),
                           .group = "Layers",
                            .shortcut = static_cast<ImGuiKeyChord>(ImGuiKey_0 + digit), .tip = "Counted from the bottom",
                            .run = [&workspace, index] {
                              Layer& layer = workspace.layers.at(index);
                              layer.style.visible = !layer.style.visible;
                              workspace.history.touch("Show or hide " + layer.name);
                            },
                            .enabled = [&workspace, index] { return index < workspace.layers.size(); }});
  }
}

}  // namespace fovea
