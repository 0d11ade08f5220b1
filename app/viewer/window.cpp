#include "app/viewer/window.h"

#include <glad/gl.h>
#include <GLFW/glfw3.h>
#include <imgui.h>
#include <imgui_impl_glfw.h>
#include <imgui_impl_opengl3.h>
#include <implot.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <utility>

#include "app/viewer/gl_objects.h"
#include "core/base/error.h"

namespace fovea {
namespace {

std::string glfw_reason() {
  const char* text = nullptr;
  glfwGetError(&text);
  return text ? first_line(text) : "unknown reason";
}

// What GLFW's empty event is off screen.
class Woken {
 public:
  void set() {
    {
      const std::lock_guard lock(mutex_);
      is_set_ = true;
    }
    changed_.notify_one();
  }
  void wait(double seconds) {
    std::unique_lock lock(mutex_);
    if (seconds > 0) changed_.wait_for(lock, std::chrono::duration<double>(seconds), [this] { return is_set_; });
    is_set_ = false;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_set_ = false;
} woken;

}  // namespace

Window::Window(const WindowOptions& options) {
  if (options.visibility == Visibility::kOffScreen) {
    egl_ = std::make_unique<EglContext>();
    width_ = options.width, height_ = options.height;
    scale_ = options.scale > 0 ? options.scale : 1;
    start_imgui();
    return;
  }
  if (!glfwInit()) {
    throw Error(ErrorKind::kEnvironment, "no display: " + glfw_reason() + "; pictures can be made without one: fovea segment --overlay, fovea attend");
  }
  try {
    create_window(options);
    start_imgui();
  } catch (...) {
    if (window_) glfwDestroyWindow(window_);
    glfwTerminate();
    throw;
  }
}

Window::~Window() {
  ImGui_ImplOpenGL3_Shutdown();
  if (window_) ImGui_ImplGlfw_Shutdown();
  ImPlot::DestroyContext();
  ImGui::DestroyContext();
  picture_ = Offscreen();   // before its context
  if (!window_) return;
  glfwDestroyWindow(window_);
  glfwTerminate();
}

void Window::create_window(const WindowOptions& options) {
  glfwWindowHint(GLFW_CONTEXT_VERSION_MAJOR, 3);
  glfwWindowHint(GLFW_CONTEXT_VERSION_MINOR, 3);
  glfwWindowHint(GLFW_OPENGL_PROFILE, GLFW_OPENGL_CORE_PROFILE);
  glfwWindowHint(GLFW_OPENGL_FORWARD_COMPAT, GLFW_TRUE);
  glfwWindowHint(GLFW_VISIBLE, options.visibility == Visibility::kVisible ? GLFW_TRUE : GLFW_FALSE);
  glfwWindowHint(GLFW_SCALE_TO_MONITOR, options.scale == 0 ? GLFW_TRUE : GLFW_FALSE);
  window_ = glfwCreateWindow(options.width, options.height, options.title.c_str(), nullptr, nullptr);
  if (!window_) throw Error(ErrorKind::kEnvironment, "no window with OpenGL 3.3: " + glfw_reason());

  glfwMakeContextCurrent(window_);
  if (!gladLoadGL(glfwGetProcAddress)) throw Error(ErrorKind::kEnvironment, "OpenGL 3.3 cannot be loaded");
  glfwSwapInterval(options.visibility == Visibility::kVisible ? 1 : 0);

  float content_scale = 1;
  glfwGetWindowContentScale(window_, &content_scale, nullptr);
  scale_ = options.scale > 0 ? options.scale : content_scale;
  glfwSetWindowUserPointer(window_, this);
  // Before ImGui installs its own callbacks, so that they are chained.
  glfwSetDropCallback(window_, [](GLFWwindow* handle, int count, const char** paths) {
    auto* self = static_cast<Window*>(glfwGetWindowUserPointer(handle));
    self->dropped_.insert(self->dropped_.end(), paths, paths + count);
  });
}

void Window::start_imgui() {
  ImGui::CreateContext();
  ImPlot::CreateContext();
  ImGuiIO& io = ImGui::GetIO();
  io.IniFilename = nullptr;   // the program keeps its settings itself
  io.ConfigFlags |= ImGuiConfigFlags_DockingEnable | ImGuiConfigFlags_NavEnableKeyboard;
  io.ConfigWindowsMoveFromTitleBarOnly = true;
  if (window_) ImGui_ImplGlfw_InitForOpenGL(window_, true);
  ImGui_ImplOpenGL3_Init("#version 330 core");
}

void Window::size(int& width, int& height) const {
  if (window_) glfwGetFramebufferSize(window_, &width, &height);
  else width = width_, height = height_;
}

bool Window::should_close() const { return window_ ? glfwWindowShouldClose(window_) == GLFW_TRUE : close_requested_; }

void Window::request_close(bool close) {
  close_requested_ = close;
  if (window_) glfwSetWindowShouldClose(window_, close ? GLFW_TRUE : GLFW_FALSE);
}

void Window::poll(double wait_s) {
  if (!window_) return woken.wait(wait_s);
  if (wait_s > 0) glfwWaitEventsTimeout(wait_s);
  else glfwPollEvents();
}

void Window::begin_frame() {
  ImGui_ImplOpenGL3_NewFrame();
  if (window_) {
    ImGui_ImplGlfw_NewFrame();
  } else {
    ImGui::GetIO().DisplaySize = {static_cast<float>(width_), static_cast<float>(height_)};
    ImGui::GetIO().DeltaTime = 1.0f / 60;
  }
  ImGui::NewFrame();
}

void Window::collect() { ImGui::Render(); }

void Window::draw_collected() {
  int width = 0, height = 0;
  size(width, height);
  if (!window_) picture_.begin(width, height, {0, 0, 0, 1});
  glViewport(0, 0, width, height);
  glClearColor(0, 0, 0, 1);
  glClear(GL_COLOR_BUFFER_BIT);
  ImGui_ImplOpenGL3_RenderDrawData(ImGui::GetDrawData());
  if (!window_) picture_.end();
  if (!captures_.empty()) take_captures(width, height);
}

// Drawn once more off screen: of a window's own pixels those that another window covers may be anything.
void Window::take_captures(int width, int height) {
  Offscreen drawn;
  drawn.begin(width, height, {0, 0, 0, 1});
  ImGui_ImplOpenGL3_RenderDrawData(ImGui::GetDrawData());
  drawn.end();
  const ImageU8 all = drawn.read();
  for (const Capture& capture : std::exchange(captures_, {})) {
    const Rect& wanted = capture.part;
    const std::int64_t x = std::clamp<std::int64_t>(wanted.x, 0, width - 1), y = std::clamp<std::int64_t>(wanted.y, 0, height - 1);
    ImageU8 part(std::clamp<std::int64_t>(wanted.width, 1, width - x), std::clamp<std::int64_t>(wanted.height, 1, height - y), 3);
    for (std::int64_t row = 0; row < part.height(); ++row) std::copy_n(all.row(y + row) + 3 * x, 3 * part.width(), part.row(row));
    capture.taken(std::move(part));
  }
}

ImageU8 Window::read() const {
  if (!window_) return picture_.read();
  int width = 0, height = 0;
  size(width, height);
  return gl::read_pixels(width, height);
}

void Window::present() {
  if (window_) glfwSwapBuffers(window_);
  else glFinish();
}

void Window::wake() {
  glfwPostEmptyEvent();   // nothing happens without GLFW
  woken.set();
}

void Window::set_title(const std::string& title) {
  if (window_) glfwSetWindowTitle(window_, title.c_str());
}

bool Window::full_screen() const { return window_ && glfwGetWindowMonitor(window_) != nullptr; }

void Window::toggle_full_screen() {
  if (!window_) return;
  if (full_screen()) {
    glfwSetWindowMonitor(window_, nullptr, windowed_x_, windowed_y_, windowed_width_, windowed_height_, 0);
    return;
  }
  glfwGetWindowPos(window_, &windowed_x_, &windowed_y_);
  glfwGetWindowSize(window_, &windowed_width_, &windowed_height_);
  GLFWmonitor* monitor = glfwGetPrimaryMonitor();
  const GLFWvidmode* mode = monitor ? glfwGetVideoMode(monitor) : nullptr;
  if (mode) glfwSetWindowMonitor(window_, monitor, 0, 0, mode->width, mode->height, mode->refreshRate);
}

std::vector<std::filesystem::path> Window::take_dropped_files() { return std::exchange(dropped_, {}); }

}  // namespace fovea
