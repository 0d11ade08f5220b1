#include "app/viewer/viewer.h"

#include <GLFW/glfw3.h>

#include <algorithm>
#include <cinttypes>
#include <cmath>

#include "app/viewer/actions/menu_bar.h"
#include "app/viewer/layers/image_layer.h"
#include "app/viewer/panels/layers_panel.h"
#include "app/viewer/resources.h"
#include "core/image/pyramid.h"

namespace fovea {
namespace {

constexpr std::int64_t kTextureBudgetBytes = std::int64_t{512} << 20;
constexpr float kStatusHeight = 1.6f;   // lines of text
constexpr const char* kCanvasWindow = "Canvas";

}  // namespace

Viewer::Viewer(Window& window)
    : window_(window), pool_(kTextureBudgetBytes), workspace_({.pool = &pool_, .shaders = shader_folder(), .wake = Window::wake}), painter_(shader_folder()),
      canvas_(workspace_, painter_), last_frame_s_(glfwGetTime()) {
  workspace_.main_thread.wake = Window::wake;
  add_actions();
  add_layers_panel(workspace_);
  features_ = install_features(workspace_);
}

void Viewer::open(const std::filesystem::path& path) {
  try {
    auto layer = std::make_unique<ImageLayer>(path, pyramid_cache_file(path, user_cache_folder() / "pyramids"), workspace_.tiles);
    workspace_.layers.clear();
    workspace_.image = {std::filesystem::absolute(path), layer->info()};
    workspace_.camera.set_image({static_cast<double>(layer->info().width), static_cast<double>(layer->info().height)});
    workspace_.layers.add(std::move(layer));
    window_.set_title(path.filename().string() + " – Fovea");
    workspace_.messages.info("Opened " + path.string());
  } catch (const Error& error) {
    workspace_.messages.error(error.what());
    return;
  }
  for (const auto& changed : workspace_.on_image_changed) changed();
}

void Viewer::close() {
  workspace_.layers.clear();
  workspace_.image.reset();
  window_.set_title("Fovea");
  for (const auto& changed : workspace_.on_image_changed) changed();
}

bool Viewer::frame() {
  const double now_s = glfwGetTime(), elapsed_s = now_s - last_frame_s_;
  last_frame_s_ = now_s;
  for (const auto& path : window_.take_dropped_files()) open(path);
  workspace_.main_thread.run_posted();
  bool again = false;
  for (const auto& every_frame : workspace_.every_frame) again |= every_frame();

  show_menu_bar(workspace_.actions, {});
  const ImGuiViewport& viewport = *ImGui::GetMainViewport();
  const float status_height = kStatusHeight * ImGui::GetTextLineHeightWithSpacing();
  workspace_.panels.show(viewport.WorkPos, {viewport.WorkSize.x, viewport.WorkSize.y - status_height}, kCanvasWindow);
  ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, ImVec2(0, 0));
  ImGui::Begin(kCanvasWindow, nullptr, ImGuiWindowFlags_NoDecoration | ImGuiWindowFlags_NoMove);
  const CanvasState state = canvas_.show(now_s, elapsed_s);
  if (!workspace_.image) show_empty_state();
  ImGui::End();
  ImGui::PopStyleVar();

  workspace_.actions.handle_shortcuts();
  ImGui::SetNextWindowPos({viewport.WorkPos.x, viewport.WorkPos.y + viewport.WorkSize.y - status_height});
  ImGui::SetNextWindowSize({viewport.WorkSize.x, status_height});
  ImGui::Begin("Status", nullptr, ImGuiWindowFlags_NoDecoration | ImGuiWindowFlags_NoMove | ImGuiWindowFlags_NoSavedSettings | ImGuiWindowFlags_NoDocking);
  show_status(state);
  ImGui::End();

  collect_errors();
  workspace_.history.settle(ImGui::IsAnyItemActive() ? History::Hands::kBusy : History::Hands::kFree);
  const bool complete = std::ranges::all_of(workspace_.layers.all(), [](const auto& layer) { return !layer->style.visible || layer->complete(); });
  again |= state.needs_frame;
  settled_ = !again && (complete || !workspace_.messages.last_error().empty());
  return again;
}

void Viewer::collect_errors() {
  for (const auto& layer : workspace_.layers.all()) {
    auto* tiled = dynamic_cast<TiledLayer*>(layer.get());
    if (!tiled) continue;
    if (auto error = tiled->take_error(); !error.empty()) workspace_.messages.error(std::move(error));
  }
}

void Viewer::show_status(const CanvasState& state) {
  if (const std::string error = workspace_.messages.last_error(); !error.empty()) {
    ImGui::TextColored({1.0f, 0.55f, 0.45f, 1}, "%s", error.c_str());
    return;
  }
  if (!workspace_.image) {
    ImGui::TextDisabled("No image");
    return;
  }
  const ImageInfo& info = workspace_.image->info;
  ImGui::Text("%" PRId64 " × %" PRId64 "   %s, %d bit, %d band%s   %.4g %%", info.width, info.height, info.format.c_str(), info.bits, info.bands,
              info.bands == 1 ? "" : "s", workspace_.camera.zoom() * 100);
  const Point p = state.cursor_image;
  if (!state.hovered || p.x < 0 || p.y < 0 || p.x >= static_cast<double>(info.width) || p.y >= static_cast<double>(info.height)) return;
  ImGui::SameLine(0, ImGui::GetFontSize() * 2);
  ImGui::Text("x %" PRId64 "  y %" PRId64, static_cast<std::int64_t>(std::floor(p.x)), static_cast<std::int64_t>(std::floor(p.y)));
  for (const auto& layer : workspace_.layers.all()) {
    const std::string value = layer->style.visible ? layer->describe(p) : std::string();
    if (value.empty()) continue;
    ImGui::SameLine(0, ImGui::GetFontSize());
    ImGui::Text("%s %s", layer->name.c_str(), value.c_str());
  }
  for (const auto& status : workspace_.status) {
    const std::string text = status(p);
    if (text.empty()) continue;
    ImGui::SameLine(0, ImGui::GetFontSize());
    ImGui::TextUnformatted(text.c_str());
  }
}

void Viewer::show_empty_state() {
  const char* text = "Drop an image here, or start with: fovea-view IMAGE";
  const ImVec2 size = ImGui::CalcTextSize(text), window = ImGui::GetWindowSize();
  ImGui::SetCursorPos({(window.x - size.x) / 2, (window.y - size.y) / 2});
  ImGui::TextDisabled("%s", text);
}

void Viewer::add_actions() {
  Camera& camera = workspace_.camera;
  const auto has_image = [this] { return workspace_.image.has_value(); };
  const auto add_view = [&](const char* id, const char* title, ImGuiKeyChord key, std::function<void()> run) {
    workspace_.actions.add({.id = id, .title = title, .group = "View", .shortcut = key, .run = std::move(run), .enabled = has_image});
  };
  add_view("view.fit", "Fit to window", ImGuiKey_0, [&camera] { camera.fit(); });
  add_view("view.one_to_one", "Actual pixels", ImGuiMod_Ctrl | ImGuiKey_0, [&camera] { camera.one_to_one({camera.canvas().width / 2, camera.canvas().height / 2}); });
  const auto step = [&camera] { return 0.2 * std::min(camera.canvas().width, camera.canvas().height); };
  const auto add_pan = [&](const char* id, const char* title, ImGuiKey key, Point direction) {
    workspace_.actions.add({.id = id, .title = title, .group = "View/Move", .shortcut = key,
                            .run = [&camera, step, direction] { camera.pan({direction.x * step(), direction.y * step()}); }, .enabled = has_image, .repeats = true});
  };
  add_pan("view.left", "Left", ImGuiKey_LeftArrow, {1, 0});
  add_pan("view.right", "Right", ImGuiKey_RightArrow, {-1, 0});
  add_pan("view.up", "Up", ImGuiKey_UpArrow, {0, 1});
  add_pan("view.down", "Down", ImGuiKey_DownArrow, {0, -1});
  workspace_.actions.add({.id = "view.full_screen", .title = "Full screen", .group = "View", .shortcut = ImGuiKey_F, .run = [this] { window_.toggle_full_screen(); },
                          .checked = [this] { return window_.full_screen(); }});
}

}  // namespace fovea
