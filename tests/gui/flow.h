// What a flow has in its hands: the viewer, and a person's mouse and keys.
//
// FLOW(canvas, the_wheel_zooms_at_the_cursor) { flow.wheel({100, 80}, 2); IM_CHECK_GT(flow.camera().zoom(), 1); }
#pragma once

#include <imgui.h>
#include <imgui_internal.h>
#include <imgui_te_context.h>
#include <imgui_te_engine.h>

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "tests/gui/stage.h"

namespace fovea::gui {

class Flow {
 public:
  Flow(Stage& stage, ImGuiTestContext& imgui) : ui(imgui), stage_(stage) {}

  ImGuiTestContext& ui;

  Stage& stage() { return stage_; }
  Viewer& viewer() { return stage_.viewer(); }
  Workspace& workspace() { return viewer().workspace(); }
  Camera& camera() { return workspace().camera; }
  std::filesystem::path file(const std::string& name) const { return stage_.folder() / name; }
  void on_main(std::function<void()> work) { stage_.on_main(ui, std::move(work)); }

  // Everything read, drawn and answered, nothing moving. Fails the flow if that never happens.
  void settle();
  void wait(const char* what, const std::function<bool()>& condition);

  void open(const std::filesystem::path& path);
  std::string open_name() { return workspace().image ? workspace().image->path.filename().string() : ""; }
  // As the desktop does it.
  void drop(const std::vector<std::filesystem::path>& paths);
  // By the window's pixels; waits until it is so.
  void resize(int width, int height);

  // Where a pixel of the image is in the window, in the first view.
  ImVec2 on_screen(Point image);
  void move(Point image);
  void click(Point image, ImGuiKeyChord modifiers = 0);
  void drag(Point from, Point to, ImGuiMouseButton button = ImGuiMouseButton_Left, ImGuiKeyChord modifiers = 0);
  void wheel(Point image, float notches);
  void key(ImGuiKeyChord chord);
  // An action by its id, as menus and the palette run it; false: there is none or it is disabled.
  bool run(std::string_view action);

  // The canvas's picture without what ImGui draws over it.
  ImageU8 canvas();
  // The last error shown contains this text; it is dismissed.
  void expect_error(std::string_view part);
  std::string last_error() { return workspace().messages.last_error(); }

 private:
  Stage& stage_;
};

struct RegisterFlow {
  RegisterFlow(const char* group, const char* name, void (*play)(Flow&)) { flow_entries().push_back({group, name, play}); }
};

#define FLOW(group, name)                                                                              \
  static void group##_##name(::fovea::gui::Flow& flow);                                                \
  static const ::fovea::gui::RegisterFlow registered_##group##_##name(#group, #name, group##_##name);  \
  static void group##_##name([[maybe_unused]] ::fovea::gui::Flow& flow)

}  // namespace fovea::gui
