#include "app/viewer/window.h"

#include <dlfcn.h>
#include <glad/gl.h>
#include <GLFW/glfw3.h>
#include <imgui.h>
#include <imgui_internal.h>   // the queue of input
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
#include "core/image/copy_rows.h"

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

// Workers wake the window at any time, also while GLFW ends and starts again.
std::mutex glfw_starting;

void start_glfw() {
  const std::lock_guard lock(glfw_starting);
  if (!glfwInit()) {
    throw Error(ErrorKind::kEnvironment,
                "no display: " + glfw_reason() + "; pictures can be made without one: fovea segment --overlay, fovea attend");
  }
}

void end_glfw() {
  const std::lock_guard lock(glfw_starting);
  glfwTerminate();
}

bool is_modifier(ImGuiKey key) { return (key & ImGuiMod_Mask_) != 0 || ImGui::IsLRModKey(key); }

// ImGui takes the changes of any number of keys in one frame, but asks for modifiers as they are at its end: Ctrl+O of a quick hand during
// a slow frame would be O. So a modifier that changes after a key went down waits for the next frame, and what follows with it.
ImVector<ImGuiInputEvent> take_what_is_for_later() {
  ImVector<ImGuiInputEvent>& queue = ImGui::GetCurrentContext()->InputEventsQueue;
  ImVector<ImGuiInputEvent> later;
  bool key_went_down = false;
  int now = 0;
  for (; now < queue.Size; ++now) {
    if (queue[now].Type != ImGuiInputEventType_Key) continue;
    const bool modifier = is_modifier(queue[now].Key.Key);
    if (modifier && key_went_down) break;
    key_went_down |= !modifier && queue[now].Key.Down;
  }
  for (int i = now; i < queue.Size; ++i) later.push_back(queue[i]);
  queue.resize(now);
  return later;
}

GLFWmonitor* monitor_named(const std::string& name) {
  int count = 0;
  GLFWmonitor** monitors = glfwGetMonitors(&count);
  for (int i = 0; i < count; ++i) {
    if (name == glfwGetMonitorName(monitors[i])) return monitors[i];
  }
  return glfwGetPrimaryMonitor();
}

}  // namespace

Window::Window(const WindowOptions& options) : options_(options), scale_(options.scale > 0 ? options.scale : 1) {
  if (options.visibility == Visibility::kOffScreen) {
    egl_ = std::make_unique<EglContext>();
  } else {
    start_glfw();
    try {
      glfwWindowHint(GLFW_SCALE_TO_MONITOR, options.scale == 0 ? GLFW_TRUE : GLFW_FALSE);
      create_window(options.visibility);
    } catch (...) {
      end_glfw();
      throw;
    }
    if (options.scale == 0) glfwGetWindowContentScale(window_, &scale_, nullptr);
  }
  ImGui::CreateContext();
  ImPlot::CreateContext();
  ImGuiIO& io = ImGui::GetIO();
  io.IniFilename = nullptr;   // the program keeps its settings itself
  io.ConfigFlags |= ImGuiConfigFlags_DockingEnable | ImGuiConfigFlags_NavEnableKeyboard;
  io.ConfigWindowsMoveFromTitleBarOnly = true;
  start_back_ends();
}

Window::~Window() {
  if (window_ || egl_) ImGui_ImplOpenGL3_Shutdown();
  else ImGui::MemFree(std::exchange(ImGui::GetIO().BackendRendererUserData, nullptr));   // names in a context that is gone
  if (window_) ImGui_ImplGlfw_Shutdown();
  ImPlot::DestroyContext();
  ImGui::DestroyContext();
  picture_ = Offscreen();   // before its context
  if (window_) glfwDestroyWindow(window_);
  if (options_.visibility != Visibility::kOffScreen) end_glfw();   // nothing happens where it has not started
  gl::forget_context();
}

// What the driver does not offer of robustness is done without.
void Window::create_window(Visibility visibility) {
  glfwWindowHint(GLFW_CONTEXT_VERSION_MAJOR, 3);
  glfwWindowHint(GLFW_CONTEXT_VERSION_MINOR, 3);
  glfwWindowHint(GLFW_OPENGL_PROFILE, GLFW_OPENGL_CORE_PROFILE);
  glfwWindowHint(GLFW_OPENGL_FORWARD_COMPAT, GLFW_TRUE);
  glfwWindowHint(GLFW_VISIBLE, visibility == Visibility::kVisible ? GLFW_TRUE : GLFW_FALSE);
  for (const int robustness : {GLFW_LOSE_CONTEXT_ON_RESET, GLFW_NO_ROBUSTNESS}) {
    glfwWindowHint(GLFW_CONTEXT_ROBUSTNESS, robustness);
    window_ = glfwCreateWindow(options_.width, options_.height, options_.title.c_str(), nullptr, nullptr);
    if (window_) break;
  }
  if (!window_) throw Error(ErrorKind::kEnvironment, "no window with OpenGL 3.3: " + glfw_reason());
  glfwMakeContextCurrent(window_);
  if (!gl::start_context(glfwGetProcAddress)) {
    glfwDestroyWindow(std::exchange(window_, nullptr));
    throw Error(ErrorKind::kEnvironment, "OpenGL 3.3 cannot be loaded");
  }
  glfwSwapInterval(options_.visibility == Visibility::kVisible ? 1 : 0);
  glfwSetWindowUserPointer(window_, this);
  // Before ImGui installs its own callbacks, so that they are chained.
  glfwSetDropCallback(window_, [](GLFWwindow* handle, int count, const char** paths) {
    auto* self = static_cast<Window*>(glfwGetWindowUserPointer(handle));
    self->dropped_.insert(self->dropped_.end(), paths, paths + count);
  });
}

void Window::start_back_ends() {
  if (window_) ImGui_ImplGlfw_InitForOpenGL(window_, true);
  ImGui_ImplOpenGL3_Init("#version 330 core");
}

void Window::drop_context() {
  gl::forget_context();
  if (window_) {
    lost_ = placement();
    ImGui_ImplGlfw_Shutdown();
    glfwMakeContextCurrent(nullptr);
    glfwDestroyWindow(std::exchange(window_, nullptr));
  }
  egl_.reset();
  // Keys and buttons that are down now come up in a window that is gone.
  ImGui::GetIO().ClearInputKeys();
  ImGui::GetIO().ClearInputMouse();
}

void Window::make_context() {
  if (options_.visibility == Visibility::kOffScreen) {
    egl_ = std::make_unique<EglContext>();
  } else {
    if (from_the_display_on_) {
      ::dlopen("libGL.so.1", RTLD_LAZY | RTLD_NODELETE);   // threads of a driver may still run: it must not be unloaded
      end_glfw();
      start_glfw();
    }
    from_the_display_on_ = true;
    options_.width = lost_.width, options_.height = lost_.height;
    create_window(Visibility::kHidden);
    from_the_display_on_ = false;
    place(lost_);
  }
  // It still holds names of the old context. Nothing has a name in this one yet, so that deleting them does nothing but raise errors.
  ImGui_ImplOpenGL3_Shutdown();
  gl::take_error();
  start_back_ends();
}

Window::Placement Window::placement() const {
  Placement now;
  if (GLFWmonitor* monitor = glfwGetWindowMonitor(window_)) {
    now = {.x = windowed_x_, .y = windowed_y_, .width = windowed_width_, .height = windowed_height_,
           .full_screen_on = glfwGetMonitorName(monitor)};
  } else {
    glfwGetWindowPos(window_, &now.x, &now.y);
    glfwGetWindowSize(window_, &now.width, &now.height);
  }
  now.maximised = glfwGetWindowAttrib(window_, GLFW_MAXIMIZED) == GLFW_TRUE;
  now.minimised = glfwGetWindowAttrib(window_, GLFW_ICONIFIED) == GLFW_TRUE;
  now.focused = glfwGetWindowAttrib(window_, GLFW_FOCUSED) == GLFW_TRUE;
  return now;
}

// Of a hidden window, which is shown only when it stands where it should.
void Window::place(const Placement& placement) {
  glfwSetWindowPos(window_, placement.x, placement.y);
  if (placement.maximised) glfwMaximizeWindow(window_);
  glfwSetWindowAttrib(window_, GLFW_FOCUS_ON_SHOW,
                      placement.focused ? GLFW_TRUE : GLFW_FALSE);   // nobody is torn away from another program
  if (options_.visibility == Visibility::kVisible) glfwShowWindow(window_);
  if (!placement.full_screen_on.empty()) enter_full_screen(monitor_named(placement.full_screen_on));
  if (placement.minimised) glfwIconifyWindow(window_);
}

void Window::size(int& width, int& height) const {
  if (window_) glfwGetFramebufferSize(window_, &width, &height);
  else width = options_.width, height = options_.height;
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
    ImGui::GetIO().DisplaySize = {static_cast<float>(options_.width), static_cast<float>(options_.height)};
    ImGui::GetIO().DeltaTime = 1.0f / 60;
  }
  const auto later = take_what_is_for_later();
  ImGui::NewFrame();
  for (const ImGuiInputEvent& event : later) ImGui::GetCurrentContext()->InputEventsQueue.push_back(event);
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
  if (gl::context_lost()) return;   // nothing was drawn: with the next frame
  for (const Capture& capture : std::exchange(captures_, {})) {
    const Rect& wanted = capture.part;
    const std::int64_t x = std::clamp<std::int64_t>(wanted.x, 0, width - 1), y = std::clamp<std::int64_t>(wanted.y, 0, height - 1);
    capture.taken(
        part_of(all, {x, y, std::clamp<std::int64_t>(wanted.width, 1, width - x), std::clamp<std::int64_t>(wanted.height, 1, height - y)}));
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
  {
    const std::lock_guard lock(glfw_starting);
    glfwPostEmptyEvent();   // nothing happens without GLFW
  }
  woken.set();
}

void Window::set_title(const std::string& title) {
  options_.title = title;
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
  enter_full_screen(glfwGetPrimaryMonitor());
}

void Window::enter_full_screen(GLFWmonitor* monitor) {
  const GLFWvidmode* mode = monitor ? glfwGetVideoMode(monitor) : nullptr;
  if (mode) glfwSetWindowMonitor(window_, monitor, 0, 0, mode->width, mode->height, mode->refreshRate);
}

std::vector<std::filesystem::path> Window::take_dropped_files() { return std::exchange(dropped_, {}); }

}  // namespace fovea
