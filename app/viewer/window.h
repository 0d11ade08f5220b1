// The program's window: GLFW, an OpenGL 3.3 core context and Dear ImGui, made and freed together.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "app/viewer/canvas/offscreen.h"
#include "app/viewer/egl_context.h"
#include "core/image/image.h"

struct GLFWwindow;

namespace fovea {

// Hidden: tests and exports. Off screen: no display is needed, OpenGL comes through EGL; for benchmarks on machines without a screen.
enum class Visibility { kVisible, kHidden, kOffScreen };

struct WindowOptions {
  std::string title = "Fovea";
  int width = 1440, height = 900;              // screen coordinates
  Visibility visibility = Visibility::kVisible;
  float scale = 0;                             // size of everything; 0: the monitor's content scale
};

// One a process, main thread only. Error{kEnvironment} without a display or without OpenGL 3.3: "no display: ...".
class Window {
 public:
  explicit Window(const WindowOptions& options);
  ~Window();
  Window(const Window&) = delete;
  Window& operator=(const Window&) = delete;

  bool should_close() const;
  void request_close(bool close);

  // Handles input. wait_s > 0: sleeps until input arrives or the time is over, so that an idle program costs nothing.
  void poll(double wait_s);
  void begin_frame();
  // Draws what ImGui collected; present() shows it. collect() makes ImGui's list of triangles, draw_collected() draws it.
  void render() { collect(), draw_collected(); }
  void collect();
  void draw_collected();
  ImageU8 read() const;                        // what render() drew: [height, width, 3]; of the framebuffer, not of the screen
  void present();
  // Calls with a part (framebuffer pixels) of what is drawn next, whatever covers the window on the screen.
  void capture(const Rect& part, std::function<void(ImageU8)> taken) { captures_.push_back({part, std::move(taken)}); }
  bool has_to_capture() const { return !captures_.empty(); }
  // Wakes poll() from any thread: a worker has something to show.
  static void wake();

  float scale() const { return scale_; }
  void set_title(const std::string& title);
  bool full_screen() const;
  void toggle_full_screen();
  GLFWwindow* handle() const { return window_; }   // nullptr off screen

  // Files dropped onto the window since the last call.
  std::vector<std::filesystem::path> take_dropped_files();

 private:
  void create_window(const WindowOptions& options);
  void start_imgui();

  void size(int& width, int& height) const;      // framebuffer pixels

  GLFWwindow* window_ = nullptr;
  std::unique_ptr<EglContext> egl_;              // off screen, instead of window_
  Offscreen picture_;                            // what it draws to then
  int width_ = 0, height_ = 0;
  bool close_requested_ = false;
  float scale_ = 1;
  int windowed_x_ = 0, windowed_y_ = 0, windowed_width_ = 0, windowed_height_ = 0;   // to come back from full screen
  std::vector<std::filesystem::path> dropped_;
  struct Capture {
    Rect part;
    std::function<void(ImageU8)> taken;
  };
  void take_captures(int width, int height);
  std::vector<Capture> captures_;
};

}  // namespace fovea
