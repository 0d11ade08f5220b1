// The program's window: GLFW, an OpenGL 3.3 core context and Dear ImGui, made and freed together. The context is robust where the driver
// offers that: a reset of the GPU is told (gl::context_lost()) and takes the context, not the program.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "app/viewer/canvas/offscreen.h"
#include "app/viewer/egl_context.h"
#include "core/image/image.h"

struct GLFWmonitor;
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

  // Once the context is lost, between frames: window and context go; make_context() makes a window like it, on the same screen, at the same
  // place, of the same size, with a context in which nothing is drawn yet. Error{kEnvironment} as of the constructor; it may be tried
  // again, which begins with the connection to the display.
  void drop_context();
  void make_context();

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
  const std::string& title() const { return options_.title; }
  bool full_screen() const;
  void toggle_full_screen();
  GLFWwindow* handle() const { return window_; }   // nullptr off screen

  // Files dropped onto the window since the last call.
  std::vector<std::filesystem::path> take_dropped_files();

 private:
  // How a window stands on the screen.
  struct Placement {
    int x = 0, y = 0, width = 0, height = 0;     // screen coordinates; of the windowed one where it fills a screen
    bool maximised = false, minimised = false, focused = true;
    std::string full_screen_on;                  // name of the monitor; "": windowed
  };
  Placement placement() const;
  void place(const Placement& placement);
  void create_window(Visibility visibility);
  void start_back_ends();
  void enter_full_screen(GLFWmonitor* monitor);

  void size(int& width, int& height) const;      // framebuffer pixels

  WindowOptions options_;
  GLFWwindow* window_ = nullptr;
  std::unique_ptr<EglContext> egl_;              // off screen, instead of window_
  Offscreen picture_;                            // what it draws to then
  Placement lost_;                               // of the window that went with its context
  bool from_the_display_on_ = false;             // the last context could not be had: a driver may cling to a device that is gone
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
