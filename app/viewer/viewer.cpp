#include "app/viewer/viewer.h"

#include <GLFW/glfw3.h>

#include <algorithm>
#include <cinttypes>
#include <cmath>

#include "app/viewer/resources.h"
#include "core/image/pyramid.h"

namespace fovea {
namespace {

constexpr std::int64_t kTextureBudgetBytes = std::int64_t{512} << 20;
constexpr float kStatusHeight = 1.6f;   // lines of text

}  // namespace

Viewer::Viewer(Window& window) : window_(window), last_frame_s_(glfwGetTime()) {}

void Viewer::open(const std::filesystem::path& path) {
  try {
    TileLoaderOptions options{.image = path, .cache_file = pyramid_cache_file(path, user_cache_folder() / "pyramids"), .threads = 2, .on_change = Window::wake};
    image_ = std::make_unique<ImageLayer>(std::move(options), shader_folder(), kTextureBudgetBytes);
    path_ = path;
    message_.clear();
    canvas_.camera().set_image({static_cast<double>(image_->info().width), static_cast<double>(image_->info().height)});
    window_.set_title(path.filename().string() + " – Fovea");
  } catch (const Error& error) {
    message_ = error.what();
  }
}

bool Viewer::frame() {
  const double now_s = glfwGetTime(), elapsed_s = now_s - last_frame_s_;
  last_frame_s_ = now_s;
  for (const auto& path : window_.take_dropped_files()) open(path);

  const ImGuiViewport& viewport = *ImGui::GetMainViewport();
  const float status_height = kStatusHeight * ImGui::GetTextLineHeightWithSpacing();
  ImGui::SetNextWindowPos(viewport.WorkPos);
  ImGui::SetNextWindowSize({viewport.WorkSize.x, viewport.WorkSize.y - status_height});
  ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, ImVec2(0, 0));
  ImGui::Begin("Canvas", nullptr, ImGuiWindowFlags_NoDecoration | ImGuiWindowFlags_NoMove | ImGuiWindowFlags_NoSavedSettings | ImGuiWindowFlags_NoBringToFrontOnFocus);
  const CanvasState state = canvas_.show(image_.get(), appearance_, now_s, elapsed_s);
  if (!image_) show_empty_state();
  ImGui::End();
  ImGui::PopStyleVar();

  handle_keys();
  ImGui::SetNextWindowPos({viewport.WorkPos.x, viewport.WorkPos.y + viewport.WorkSize.y - status_height});
  ImGui::SetNextWindowSize({viewport.WorkSize.x, status_height});
  ImGui::Begin("Status", nullptr, ImGuiWindowFlags_NoDecoration | ImGuiWindowFlags_NoMove | ImGuiWindowFlags_NoSavedSettings);
  show_status(state);
  ImGui::End();

  if (image_) {
    if (auto error = image_->take_error(); !error.empty()) message_ = std::move(error);
  }
  settled_ = !state.needs_frame && (!image_ || image_->complete() || !message_.empty());
  return state.needs_frame;
}

void Viewer::show_status(const CanvasState& state) {
  if (!message_.empty()) {
    ImGui::TextColored({1.0f, 0.55f, 0.45f, 1}, "%s", message_.c_str());
    return;
  }
  if (!image_) {
    ImGui::TextDisabled("No image");
    return;
  }
  const ImageInfo& info = image_->info();
  ImGui::Text("%" PRId64 " × %" PRId64 "   %s, %d bit, %d band%s   %.4g %%", info.width, info.height, info.format.c_str(), info.bits, info.bands,
              info.bands == 1 ? "" : "s", canvas_.camera().zoom() * 100);
  const auto x = static_cast<std::int64_t>(std::floor(state.cursor_image.x)), y = static_cast<std::int64_t>(std::floor(state.cursor_image.y));
  if (state.hovered && x >= 0 && y >= 0 && x < info.width && y < info.height) {
    ImGui::SameLine(0, ImGui::GetFontSize() * 2);
    ImGui::Text("x %" PRId64 "  y %" PRId64, x, y);
  }
}

void Viewer::show_empty_state() {
  const char* text = "Drop an image here, or start with: fovea-view IMAGE";
  const ImVec2 size = ImGui::CalcTextSize(text), window = ImGui::GetWindowSize();
  ImGui::SetCursorPos({(window.x - size.x) / 2, (window.y - size.y) / 2});
  ImGui::TextDisabled("%s", text);
}

void Viewer::handle_keys() {
  if (ImGui::GetIO().WantTextInput) return;
  Camera& camera = canvas_.camera();
  const Extent canvas = camera.canvas();
  const Point centre{canvas.width / 2, canvas.height / 2};
  const double step = 0.2 * std::min(canvas.width, canvas.height);
  if (ImGui::Shortcut(ImGuiMod_Ctrl | ImGuiKey_0, ImGuiInputFlags_RouteGlobal)) camera.one_to_one(centre);
  else if (ImGui::Shortcut(ImGuiKey_0, ImGuiInputFlags_RouteGlobal)) camera.fit();
  if (ImGui::Shortcut(ImGuiKey_F, ImGuiInputFlags_RouteGlobal)) window_.toggle_full_screen();
  if (ImGui::IsKeyPressed(ImGuiKey_LeftArrow)) camera.pan({step, 0});
  if (ImGui::IsKeyPressed(ImGuiKey_RightArrow)) camera.pan({-step, 0});
  if (ImGui::IsKeyPressed(ImGuiKey_UpArrow)) camera.pan({0, step});
  if (ImGui::IsKeyPressed(ImGuiKey_DownArrow)) camera.pan({0, -step});
}

}  // namespace fovea
