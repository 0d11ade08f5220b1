#include "app/viewer/viewer.h"

#include <algorithm>
#include <chrono>

#include "app/viewer/actions/menu_bar.h"
#include "app/viewer/actions/view_actions.h"
#include "app/viewer/layers/image_layer.h"
#include "app/viewer/panels/histogram_panel.h"
#include "app/viewer/panels/layers_panel.h"
#include "app/viewer/panels/start_page.h"
#include "app/viewer/panels/status_line.h"
#include "app/viewer/project/layer_section.h"
#include "app/viewer/resources.h"
#include "core/image/pyramid.h"

namespace fovea {
namespace {

constexpr float kStatusHeight = 1.6f;   // lines of text
constexpr const char* kCanvasWindow = "Canvas";

}  // namespace

double Viewer::steady_seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

Viewer::Viewer(Window& window, Clock clock)
    : window_(window), clock_(std::move(clock)), pool_(Settings{}.video_memory_bytes), cache_(Settings{}.memory_bytes),
      workspace_({.pool = &pool_, .cache = &cache_, .shaders = shader_folder(), .wake = Window::wake,
                  .bury = [this](std::shared_ptr<void> object) { graveyard_.bury(std::move(object)); }}), painter_(shader_folder()), canvas_(workspace_, painter_),
      palette_(workspace_.actions), help_(workspace_.actions), dialog_([this](const std::filesystem::path& path) { open(path); }), last_frame_s_(clock_()) {
  workspace_.main_thread.wake = Window::wake;
  workspace_.settings = load_settings(user_config_folder() / "viewer.json");
  pool_.set_budget_bytes(workspace_.settings.video_memory_bytes);
  cache_.set_budget_bytes(workspace_.settings.memory_bytes);
  load_fonts();
  apply_theme(workspace_.settings.theme, window_.scale());
  workspace_.sections.add(layer_section(workspace_));
  add_file_actions();
  add_window_actions();
  add_edit_actions(workspace_);
  add_view_actions(workspace_);
  add_layer_actions(workspace_);
  add_layers_panel(workspace_);
  add_histogram_panel(workspace_);
  add_statistics_panel(workspace_, frame_times_);
  add_log_panel(workspace_);
  features_ = install_features(workspace_);
  workspace_.history.reset();
}

void Viewer::keep_settings() {
  workspace_.settings.video_memory_bytes = pool_.budget_bytes();
  workspace_.settings.memory_bytes = cache_.budget_bytes();
  try {
    save_settings(user_config_folder() / "viewer.json", workspace_.settings);
  } catch (const Error& error) {
    workspace_.messages.warn(error.what());
  }
}

void Viewer::open(const std::filesystem::path& path) {
  try {
    const auto folder = user_cache_folder() / "pyramids", cache_file = pyramid_cache_file(path, folder);
    auto layer = std::make_unique<ImageLayer>(path, cache_file, workspace_.tiles);
    graveyard_.bury(std::shared_ptr<void>(nullptr, [folder, cache_file, budget_bytes = workspace_.settings.pyramid_cache_bytes](void*) {
      trim_pyramids(folder, budget_bytes, cache_file);   // reads a folder: not on this thread
    }));
    workspace_.layers.clear();
    workspace_.image = {std::filesystem::absolute(path), layer->info()};
    workspace_.camera.set_image({static_cast<double>(layer->info().width), static_cast<double>(layer->info().height)});
    workspace_.layers.add(std::move(layer));
    file_watch_.start(workspace_.image->path);
    window_.set_title(path.filename().string() + " – Fovea");
    workspace_.messages.info("Opened " + path.string());
    workspace_.settings.remember(workspace_.image->path);
    keep_settings();
  } catch (const Error& error) {
    workspace_.messages.error(error.what());
    return;
  }
  for (const auto& changed : workspace_.on_image_changed) changed();
  workspace_.history.reset();
}

void Viewer::close() {
  workspace_.layers.clear();
  workspace_.image.reset();
  file_watch_.stop();
  window_.set_title("Fovea");
  for (const auto& changed : workspace_.on_image_changed) changed();
  workspace_.history.reset();
}

bool Viewer::frame() {
  const double began_s = steady_seconds(), now_s = clock_(), elapsed_s = now_s - last_frame_s_;
  last_frame_s_ = now_s;
  for (const auto& path : window_.take_dropped_files()) open(path);
  workspace_.main_thread.run_posted();
  bool again = false;
  for (const auto& every_frame : workspace_.every_frame) again |= every_frame();

  workspace_.comparison.peeking = !ImGui::GetIO().WantTextInput && ImGui::IsKeyDown(ImGuiKey_GraveAccent);
  show_menu_bar(workspace_.actions, {{"File", [this] { show_recent_menu(); }}});
  const ImGuiViewport& viewport = *ImGui::GetMainViewport();
  const float status_height = kStatusHeight * ImGui::GetTextLineHeightWithSpacing();
  workspace_.panels.show(viewport.WorkPos, {viewport.WorkSize.x, viewport.WorkSize.y - status_height}, kCanvasWindow);
  ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, ImVec2(0, 0));
  ImGui::Begin(kCanvasWindow, nullptr, ImGuiWindowFlags_NoDecoration | ImGuiWindowFlags_NoMove);
  const CanvasState state = canvas_.show(now_s, elapsed_s);
  const std::filesystem::path chosen = workspace_.image ? std::filesystem::path() : show_start_page(workspace_);
  ImGui::End();
  ImGui::PopStyleVar();

  workspace_.actions.handle_shortcuts();
  palette_.show();
  help_.show();
  dialog_.show();
  show_status_line(workspace_, state, {viewport.WorkPos.x, viewport.WorkPos.y + viewport.WorkSize.y - status_height}, {viewport.WorkSize.x, status_height});

  if (!chosen.empty()) open(chosen);
  collect_errors();
  if (std::string news = file_watch_.look(now_s); !news.empty()) workspace_.messages.error(std::move(news));
  workspace_.history.settle(ImGui::IsAnyItemActive() ? History::Hands::kBusy : History::Hands::kFree);
  const bool complete = std::ranges::all_of(workspace_.layers.all(), [](const auto& layer) { return !layer->style.visible || layer->complete(); });
  again |= state.needs_frame;
  frame_times_.add((steady_seconds() - began_s) * 1e3);
  const bool busy = std::ranges::any_of(features_, [](const auto& feature) { return feature->busy(); });
  settled_ = ++frames_ > 3 && !again && !busy &&   // windows find their places in the first frames
             (complete || !workspace_.messages.last_error().empty());
  return again;
}

void Viewer::collect_errors() {
  std::int64_t held_bytes = 0;
  for (const auto& layer : workspace_.layers.all()) {
    auto* tiled = dynamic_cast<TiledLayer*>(layer.get());
    if (!tiled) continue;
    if (auto error = tiled->take_error(); !error.empty()) workspace_.messages.error(std::move(error));
    held_bytes += tiled->held_bytes();
    if (auto* image = dynamic_cast<ImageLayer*>(tiled)) {
      if (auto error = image->take_build_error(); !error.empty()) workspace_.messages.warn(std::move(error));
    }
  }
  cache_.set_reserved_bytes(held_bytes);
}

void Viewer::show_recent_menu() {
  if (!ImGui::BeginMenu("Open recent", !workspace_.settings.recent.empty())) return;
  std::filesystem::path chosen;
  for (const auto& path : workspace_.settings.recent) {
    if (ImGui::MenuItem(path.string().c_str())) chosen = path;
  }
  ImGui::EndMenu();
  if (!chosen.empty()) open(chosen);
}

void Viewer::set_theme(Theme theme) {
  workspace_.settings.theme = theme;
  apply_theme(theme, window_.scale());
  keep_settings();
}

void Viewer::add_file_actions() {
  auto& actions = workspace_.actions;
  const auto has_image = [this] { return workspace_.image.has_value(); };
  actions.add({.id = "file.open", .title = "Open…", .group = "File", .shortcut = ImGuiMod_Ctrl | ImGuiKey_O, .tip = "Open an image",
               .run = [this] { dialog_.open(workspace_.image ? workspace_.image->path.parent_path() : std::filesystem::path()); }});
  actions.add({.id = "file.reload", .title = "Reload", .group = "File", .shortcut = ImGuiKey_F5, .tip = "Open the image again as it is now on the disk",
               .run = [this] {
                 workspace_.messages.clear();
                 open(std::filesystem::path(workspace_.image->path));
               },
               .enabled = has_image});
  actions.add({.id = "file.close", .title = "Close image", .group = "File", .shortcut = ImGuiMod_Ctrl | ImGuiKey_W, .run = [this] { close(); }, .enabled = has_image});
  actions.add({.id = "file.quit", .title = "Quit", .group = "File", .shortcut = ImGuiMod_Ctrl | ImGuiKey_Q, .run = [this] { window_.request_close(true); }});
}

// What is around the picture.
void Viewer::add_window_actions() {
  auto& actions = workspace_.actions;
  actions.add({.id = "help.palette", .title = "Command palette", .group = "Help", .shortcut = ImGuiMod_Ctrl | ImGuiMod_Shift | ImGuiKey_P,
               .tip = "Type a few letters of what you want", .run = [this] { palette_.open(); }});
  actions.add({.id = "help.keys", .title = "Keys and mouse", .group = "Help", .shortcut = ImGuiMod_Shift | ImGuiKey_Slash, .tip = "Also opened by ?",
               .run = [this] { help_.toggle(); }, .checked = [this] { return help_.is_open(); }});
  actions.add({.id = "view.light", .title = "Light theme", .group = "View",
               .run = [this] { set_theme(workspace_.settings.theme == Theme::kLight ? Theme::kDark : Theme::kLight); },
               .checked = [this] { return workspace_.settings.theme == Theme::kLight; }});
  actions.add({.id = "view.full_screen", .title = "Full screen", .group = "View", .shortcut = ImGuiKey_F, .run = [this] { window_.toggle_full_screen(); },
               .checked = [this] { return window_.full_screen(); }});
}

}  // namespace fovea
