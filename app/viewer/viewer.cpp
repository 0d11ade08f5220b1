#include "app/viewer/viewer.h"

#include <algorithm>
#include <chrono>
#include <cinttypes>
#include <cmath>

#include "app/viewer/actions/menu_bar.h"
#include "app/viewer/layers/image_layer.h"
#include "app/viewer/panels/histogram_panel.h"
#include "app/viewer/panels/layers_panel.h"
#include "app/viewer/project/layer_section.h"
#include "app/viewer/resources.h"
#include "core/image/pyramid.h"

namespace fovea {
namespace {

constexpr double kLookEvery_s = 1;       // whether the open file is still what it was
constexpr float kStatusHeight = 1.6f;   // lines of text
constexpr const char* kCanvasWindow = "Canvas";

double seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

}  // namespace

Viewer::Viewer(Window& window)
    : window_(window), pool_(Settings{}.video_memory_bytes), cache_(Settings{}.memory_bytes),
      workspace_({.pool = &pool_, .cache = &cache_, .shaders = shader_folder(), .wake = Window::wake,
                  .bury = [this](std::shared_ptr<void> object) { graveyard_.bury(std::move(object)); }}), painter_(shader_folder()), canvas_(workspace_, painter_),
      palette_(workspace_.actions), help_(workspace_.actions), dialog_([this](const std::filesystem::path& path) { open(path); }), last_frame_s_(seconds()) {
  workspace_.main_thread.wake = Window::wake;
  workspace_.settings = load_settings(user_config_folder() / "viewer.json");
  pool_.set_budget_bytes(workspace_.settings.video_memory_bytes);
  cache_.set_budget_bytes(workspace_.settings.memory_bytes);
  load_fonts();
  apply_theme(workspace_.settings.theme, window_.scale());
  workspace_.sections.add(layer_section(workspace_));
  add_file_actions();
  add_edit_actions();
  add_view_actions();
  add_layer_actions();
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
    std::error_code ignored;
    file_time_ = std::filesystem::last_write_time(workspace_.image->path, ignored);
    file_gone_ = false;
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
  window_.set_title("Fovea");
  for (const auto& changed : workspace_.on_image_changed) changed();
  workspace_.history.reset();
}

bool Viewer::frame() {
  const double now_s = seconds(), elapsed_s = now_s - last_frame_s_;
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
  if (!workspace_.image) show_empty_state();
  ImGui::End();
  ImGui::PopStyleVar();

  workspace_.actions.handle_shortcuts();
  palette_.show();
  help_.show();
  dialog_.show();
  ImGui::SetNextWindowPos({viewport.WorkPos.x, viewport.WorkPos.y + viewport.WorkSize.y - status_height});
  ImGui::SetNextWindowSize({viewport.WorkSize.x, status_height});
  ImGui::Begin("Status", nullptr, ImGuiWindowFlags_NoDecoration | ImGuiWindowFlags_NoMove | ImGuiWindowFlags_NoSavedSettings | ImGuiWindowFlags_NoDocking);
  show_status(state);
  ImGui::End();

  collect_errors();
  watch_file(now_s);
  workspace_.history.settle(ImGui::IsAnyItemActive() ? History::Hands::kBusy : History::Hands::kFree);
  const bool complete = std::ranges::all_of(workspace_.layers.all(), [](const auto& layer) { return !layer->style.visible || layer->complete(); });
  again |= state.needs_frame;
  frame_times_.add((seconds() - now_s) * 1e3);
  const bool busy = std::ranges::any_of(features_, [](const auto& feature) { return feature->busy(); });
  settled_ = ++frames_ > 3 && !again && !busy &&   // windows find their places in the first frames
             (complete || !workspace_.messages.last_error().empty());
  return again;
}

// Says so when the open file goes away or changes: what was read stays on the screen.
void Viewer::watch_file(double now_s) {
  if (!workspace_.image || now_s < next_look_s_) return;
  next_look_s_ = now_s + kLookEvery_s;
  const std::filesystem::path& path = workspace_.image->path;
  std::error_code code;
  const auto time = std::filesystem::last_write_time(path, code);
  if (code && !file_gone_) {
    workspace_.messages.error(path.filename().string() + ": gone from the disk (" + code.message() + "); what was read stays, F5 opens it again once it is back");
  } else if (!code && (file_gone_ || time != file_time_)) {
    workspace_.messages.error(path.filename().string() + ": changed on the disk; F5 shows it as it is now");
    file_time_ = time;
  }
  file_gone_ = static_cast<bool>(code);
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

void Viewer::show_status(const CanvasState& state) {
  if (const std::string error = workspace_.messages.last_error(); !error.empty()) {
    ImGui::TextColored(theme_colours().error, "%s", error.c_str());
    ImGui::SameLine();
    if (ImGui::SmallButton("Dismiss")) workspace_.messages.clear();
    return;
  }
  if (!workspace_.image) {
    ImGui::TextColored(theme_colours().muted, "No image");
    return;
  }
  const ImageInfo& info = workspace_.image->info;
  ImGui::Text("%" PRId64 " × %" PRId64 "   %s, %d bit, %d band%s   %.4g %%", info.width, info.height, info.format.c_str(), info.bits, info.bands,
              info.bands == 1 ? "" : "s", workspace_.camera.zoom() * 100);
  const auto* image = dynamic_cast<const ImageLayer*>(workspace_.layers.find("image"));
  if (image && image->build_progress() >= 0) {
    ImGui::SameLine(0, ImGui::GetFontSize());
    ImGui::TextColored(theme_colours().muted, "Preparing fast zooming %.0f %%", 100.0 * image->build_progress());
    ImGui::SetItemTooltip("Coarse views are computed once and kept on disk; the next time this image opens at once");
  }
  const std::string hint = workspace_.tools.active().tool ? workspace_.tools.active().tool->hint() : std::string();
  if (workspace_.tools.active().tool) {
    ImGui::SameLine(0, ImGui::GetFontSize());
    ImGui::TextColored(theme_colours().accent, "%s", workspace_.tools.active().title.c_str());
    ImGui::SameLine(0, ImGui::GetFontSize() / 2);
    ImGui::TextColored(theme_colours().muted, "%s", hint.c_str());
  }
  const Point p = state.cursor_image;
  if (state.hovered && p.x >= 0 && p.y >= 0 && p.x < static_cast<double>(info.width) && p.y < static_cast<double>(info.height)) show_pixel(p);
}

void Viewer::show_pixel(Point p) {
  ImGui::SameLine(0, ImGui::GetFontSize() * 2);
  ImGui::Text("x %" PRId64 "  y %" PRId64, static_cast<std::int64_t>(std::floor(p.x)), static_cast<std::int64_t>(std::floor(p.y)));
  const auto add = [](const std::string& text) {
    if (text.empty()) return;
    ImGui::SameLine(0, ImGui::GetFontSize());
    ImGui::TextUnformatted(text.c_str());
  };
  if (const auto& transform = workspace_.image->info.georeference.geotransform) {
    const auto& g = *transform;
    char text[80];
    std::snprintf(text, sizeof text, "E %.10g  N %.10g", g[0] + g[1] * p.x + g[2] * p.y, g[3] + g[4] * p.x + g[5] * p.y);
    add(text);
  }
  for (const auto& layer : workspace_.layers.all()) {
    const std::string value = layer->style.visible ? layer->describe(p) : std::string();
    if (!value.empty()) add(layer->kind() == LayerKind::kImage ? value : layer->name + " " + value);
  }
  for (const auto& status : workspace_.status) add(status(p));
}

void Viewer::show_empty_state() {
  const float font = ImGui::GetFontSize();
  const ImVec2 window = ImGui::GetWindowSize();
  const float width = std::min(window.x * 0.9f, font * 26), left = (window.x - width) / 2;
  float y = std::max(font, window.y * 0.28f);
  const auto line = [&](const char* text, const ImVec4& colour, float size) {
    ImGui::PushFont(nullptr, ImGui::GetStyle().FontSizeBase * size);
    ImGui::SetCursorPos({(window.x - ImGui::CalcTextSize(text).x) / 2, y});
    ImGui::TextColored(colour, "%s", text);
    y += ImGui::GetTextLineHeightWithSpacing() + font * 0.2f;
    ImGui::PopFont();
  };
  line("Fovea", ImGui::GetStyleColorVec4(ImGuiCol_Text), 1.8f);
  line("Drop an image here, of any size", theme_colours().muted, 1);
  y += font * 0.6f;
  ImGui::SetCursorPos({(window.x - font * 12) / 2, y});
  if (ImGui::Button("Open image…  Ctrl+O", {font * 12, font * 2})) workspace_.actions.run("file.open");
  y += font * 3;
  if (!workspace_.settings.recent.empty()) line("Recent", theme_colours().muted, 1);
  std::filesystem::path chosen;
  for (std::size_t i = 0; i < std::min<std::size_t>(workspace_.settings.recent.size(), 6); ++i, y += ImGui::GetFrameHeight()) {
    const auto& path = workspace_.settings.recent[i];
    ImGui::SetCursorPos({left, y});
    ImGui::PushID(static_cast<int>(i));
    if (ImGui::Selectable(path.filename().string().c_str(), false, 0, {width, 0})) chosen = path;
    ImGui::SetItemTooltip("%s", path.c_str());
    ImGui::PopID();
  }
  y += font * 0.6f;
  line("Ctrl+Shift+P: everything there is    ?: keys and mouse", theme_colours().muted, 1);
  if (!chosen.empty()) open(chosen);
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
  actions.add({.id = "help.palette", .title = "Command palette", .group = "Help", .shortcut = ImGuiMod_Ctrl | ImGuiMod_Shift | ImGuiKey_P,
               .tip = "Type a few letters of what you want", .run = [this] { palette_.open(); }});
  actions.add({.id = "help.keys", .title = "Keys and mouse", .group = "Help", .shortcut = ImGuiMod_Shift | ImGuiKey_Slash, .tip = "Also opened by ?",
               .run = [this] { help_.toggle(); }, .checked = [this] { return help_.is_open(); }});
}

void Viewer::add_edit_actions() {
  History& history = workspace_.history;
  workspace_.actions.add({.id = "edit.undo", .title = "Undo", .group = "Edit", .shortcut = ImGuiMod_Ctrl | ImGuiKey_Z, .run = [&history] { history.undo(); },
                          .enabled = [&history] { return history.can_undo(); }, .repeats = true});
  workspace_.actions.add({.id = "edit.redo", .title = "Redo", .group = "Edit", .shortcut = ImGuiMod_Ctrl | ImGuiMod_Shift | ImGuiKey_Z, .run = [&history] { history.redo(); },
                          .enabled = [&history] { return history.can_redo(); }, .repeats = true});
}

void Viewer::add_view_actions() {
  Camera& camera = workspace_.camera;
  const auto has_image = [this] { return workspace_.image.has_value(); };
  const auto centre = [&camera] { return Point{camera.canvas().width / 2, camera.canvas().height / 2}; };
  const auto add_view = [&](const char* id, const char* title, ImGuiKeyChord key, std::function<void()> run) {
    workspace_.actions.add({.id = id, .title = title, .group = "View", .shortcut = key, .run = std::move(run), .enabled = has_image});
  };
  add_view("view.fit", "Fit to window", ImGuiKey_0, [&camera] { camera.fit(); });
  add_view("view.one_to_one", "Actual pixels", ImGuiMod_Ctrl | ImGuiKey_0, [&camera, centre] { camera.one_to_one(centre()); });
  add_view("view.zoom_in", "Zoom in", ImGuiKey_Equal, [&camera, centre] { camera.zoom_at(centre(), 1.5); });
  add_view("view.zoom_out", "Zoom out", ImGuiKey_Minus, [&camera, centre] { camera.zoom_at(centre(), 1 / 1.5); });
  const auto step = [&camera] { return 0.2 * std::min(camera.canvas().width, camera.canvas().height); };
  const auto add_pan = [&](const char* id, const char* title, ImGuiKey key, Point direction) {
    workspace_.actions.add({.id = id, .title = title, .group = "View/Move", .shortcut = key,
                            .run = [&camera, step, direction] { camera.pan({direction.x * step(), direction.y * step()}); }, .enabled = has_image, .repeats = true});
  };
  add_pan("view.left", "Left", ImGuiKey_LeftArrow, {1, 0});
  add_pan("view.right", "Right", ImGuiKey_RightArrow, {-1, 0});
  add_pan("view.up", "Up", ImGuiKey_UpArrow, {0, 1});
  add_pan("view.down", "Down", ImGuiKey_DownArrow, {0, -1});
  const auto add_switch = [&](const char* id, const char* title, ImGuiKeyChord key, const char* tip, std::function<void()> run, std::function<bool()> checked) {
    workspace_.actions.add({.id = id, .title = title, .group = "View", .shortcut = key, .tip = tip, .run = std::move(run), .checked = std::move(checked)});
  };
  Settings& settings = workspace_.settings;
  Comparison& comparison = workspace_.comparison;
  add_switch("view.minimap", "Minimap", ImGuiKey_M, "The whole image small", [&settings] { settings.minimap = !settings.minimap; }, [&settings] { return settings.minimap; });
  add_switch("view.scale_bar", "Scale bar", 0, "", [&settings] { settings.scale_bar = !settings.scale_bar; }, [&settings] { return settings.scale_bar; });
  add_switch("view.curtain", "Curtain", ImGuiKey_C, "Show a layer on one side of a line only",
             [this, &comparison] {
               if (comparison.curtain.on) comparison.curtain.on = false;
               else comparison.start_curtain(workspace_.layers);
             },
             [&comparison] { return comparison.curtain.on; });
  add_switch("view.quad", "Four views", ImGuiKey_Q, "The image and three overlays side by side, moving together",
             [&comparison] { comparison.arrangement = comparison.arrangement == Arrangement::kQuad ? Arrangement::kSingle : Arrangement::kQuad; },
             [&comparison] { return comparison.arrangement == Arrangement::kQuad; });
  add_switch("view.light", "Light theme", 0, "", [this, &settings] { set_theme(settings.theme == Theme::kLight ? Theme::kDark : Theme::kLight); },
             [&settings] { return settings.theme == Theme::kLight; });
  add_switch("view.full_screen", "Full screen", ImGuiKey_F, "", [this] { window_.toggle_full_screen(); }, [this] { return window_.full_screen(); });
  workspace_.actions.add({.id = "view.reset_layout", .title = "Reset layout", .group = "View/Panels", .run = [this] { workspace_.panels.reset_layout(); }});
}

void Viewer::add_layer_actions() {
  for (int digit = 1; digit <= 9; ++digit) {
    const auto index = static_cast<std::size_t>(digit - 1);
    workspace_.actions.add({.id = "layer.toggle_" + std::to_string(digit), .title = "Show or hide layer " + std::to_string(digit), .group = "Layers",
                            .shortcut = static_cast<ImGuiKeyChord>(ImGuiKey_0 + digit), .tip = "Counted from the bottom",
                            .run = [this, index] {
                              Layer& layer = workspace_.layers.at(index);
                              layer.style.visible = !layer.style.visible;
                              workspace_.history.touch("Show or hide " + layer.name);
                            },
                            .enabled = [this, index] { return index < workspace_.layers.size(); }});
  }
}

}  // namespace fovea
