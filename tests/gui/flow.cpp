#include "tests/gui/flow.h"

#include <GLFW/glfw3.h>

namespace fovea::gui {

void Flow::settle() {
  // Some frames first: what was just clicked is known to the viewer only after its next frame.
  ui.Yield(4);
  wait("everything to settle", [this] { return viewer().settled(); });
}

void Flow::wait(const char* what, const std::function<bool()>& condition) {
  if (!stage_.wait(ui, condition)) IM_ERRORF("waited in vain for %s; last error: %s", what, last_error().c_str());
}

void Flow::open(const std::filesystem::path& path) {
  on_main([&] { viewer().open(path); });
  settle();
}

void Flow::drop(const std::vector<std::filesystem::path>& paths) {
  std::vector<const char*> names;
  for (const auto& path : paths) names.push_back(path.c_str());
  on_main([&] {
    GLFWwindow* window = stage_.window().handle();
    const GLFWdropfun callback = glfwSetDropCallback(window, nullptr);
    glfwSetDropCallback(window, callback);
    callback(window, static_cast<int>(names.size()), names.data());
  });
  settle();
}

void Flow::resize(int width, int height) {
  on_main([&] {
    if (stage_.window().full_screen()) stage_.window().toggle_full_screen();   // its size is the screen's
    glfwSetWindowSize(stage_.window().handle(), width, height);
  });
  wait("the window's size", [&] {
    const ImVec2 size = ImGui::GetIO().DisplaySize;
    return static_cast<int>(size.x) == width && static_cast<int>(size.y) == height;
  });
  ui.Yield(3);
}

ImVec2 Flow::on_screen(Point image) {
  const Point p = camera().to_canvas(image);
  const ImGuiWindow* canvas = ImGui::FindWindowByName("Canvas");
  const float density = ImGui::GetIO().DisplayFramebufferScale.x;
  return {canvas->Pos.x + static_cast<float>(p.x) / density, canvas->Pos.y + static_cast<float>(p.y) / density};
}

void Flow::move(Point image) { ui.MouseMoveToPos(on_screen(image)); }

void Flow::click(Point image, ImGuiKeyChord modifiers) {
  move(image);
  if (modifiers) ui.KeyDown(modifiers);
  ui.MouseClick();
  if (modifiers) ui.KeyUp(modifiers);
  ui.Yield(2);
}

void Flow::drag(Point from, Point to, ImGuiMouseButton button, ImGuiKeyChord modifiers) {
  const ImVec2 end = on_screen(to);   // before a pan moves it
  move(from);
  if (modifiers) ui.KeyDown(modifiers);
  ui.MouseDown(button);
  ui.MouseMoveToPos(end);
  ui.MouseUp(button);
  if (modifiers) ui.KeyUp(modifiers);
  ui.Yield(2);
}

void Flow::wheel(Point image, float notches) {
  move(image);
  ui.MouseWheelY(notches);
  settle();
}

void Flow::key(ImGuiKeyChord chord) {
  ui.KeyPress(chord);
  ui.Yield(2);
}

bool Flow::run(std::string_view action) {
  bool done = false;
  on_main([&] { done = workspace().actions.run(action); });
  ui.Yield(2);
  return done;
}

ImageU8 Flow::canvas() {
  ImageU8 picture;
  on_main([&] { picture = viewer().canvas().picture().read(); });
  return picture;
}

void Flow::expect_error(std::string_view part) {
  wait("an error", [this] { return !last_error().empty(); });
  const std::string error = last_error();
  if (error.find(part) == std::string::npos) IM_ERRORF("expected an error about \"%.*s\", got \"%s\"", static_cast<int>(part.size()), part.data(), error.c_str());
  if (error.find('\n') != std::string::npos) IM_ERRORF("an error of several lines: %s", error.c_str());
  workspace().messages.clear();
}

}  // namespace fovea::gui
