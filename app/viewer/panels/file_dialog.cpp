#include "app/viewer/panels/file_dialog.h"

#include <imgui.h>
#include <misc/cpp/imgui_stdlib.h>
#include <portable_file_dialogs.h>

#include <algorithm>
#include <optional>

#include "app/viewer/theme.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;

std::string lower_extension(const fs::path& path) {
  std::string extension = path.extension().string();
  std::ranges::transform(extension, extension.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return extension;
}

}  // namespace

struct FileDialog::Native {
  std::optional<pfd::open_file> open;
  std::optional<pfd::save_file> save;
};

FileDialog::FileDialog() = default;
FileDialog::~FileDialog() {   // the destructors of dialogs would wait for the person
  if (native_ && native_->open) native_->open->kill();
  if (native_ && native_->save) native_->save->kill();
}

void FileDialog::ask(FileQuestion question, Kind kind) {
  question_ = std::move(question);
  const bool saving = question_.purpose == FilePurpose::kSave;
  if (kind == Kind::kSystem && pfd::settings::available()) {
    if (native_) return;
    std::string patterns;
    for (const std::string& extension : question_.extensions) patterns += (patterns.empty() ? "*" : " *") + extension;
    const std::vector<std::string> filters =
        patterns.empty() ? std::vector<std::string>{"All files", "*"} : std::vector<std::string>{patterns, patterns, "All files", "*"};
    native_ = std::make_unique<Native>();
    if (saving) native_->save.emplace(question_.title, question_.start.string(), filters);
    else native_->open.emplace(question_.title, question_.start.string(), filters);
    return;
  }
  name_ = saving ? question_.start.filename().string() : std::string();
  list(saving ? question_.start.parent_path() : question_.start);
  opening_ = open_ = true;
}

void FileDialog::show() {
  if (native_ && native_->open && native_->open->ready(0)) {
    const auto files = native_->open->result();
    native_.reset();
    for (const std::string& file : files) finish(file);
  } else if (native_ && native_->save && native_->save->ready(0)) {
    const std::string file = native_->save->result();
    native_.reset();
    if (!file.empty()) finish(file);
  }
  show_own();
}

void FileDialog::finish(const fs::path& file) {
  fs::path chosen = file;
  if (question_.purpose == FilePurpose::kSave && !question_.extensions.empty() &&
      std::ranges::find(question_.extensions, lower_extension(file)) == question_.extensions.end()) {
    chosen += question_.extensions.front();
  }
  const auto take = question_.chosen;   // it may ask the next question
  if (take) take(chosen);
}

bool FileDialog::is_wanted(const fs::path& file) const {
  return question_.extensions.empty() || std::ranges::find(question_.extensions, lower_extension(file)) != question_.extensions.end();
}

void FileDialog::list(const fs::path& folder) {
  folders_.clear();
  files_.clear();
  problem_.clear();
  marked_.clear();
  std::error_code code;
  folder_ = fs::absolute(folder.empty() ? fs::current_path(code) : folder, code);
  typed_ = folder_.string();
  for (fs::directory_iterator entry(folder_, fs::directory_options::skip_permission_denied, code), end; !code && entry != end;
       entry.increment(code)) {
    std::error_code ignored;
    if (entry->path().filename().string().starts_with(".")) continue;
    if (entry->is_directory(ignored)) folders_.push_back(entry->path());
    else if (is_wanted(entry->path())) files_.push_back(entry->path());
  }
  if (code) problem_ = folder_.string() + ": " + code.message();
  std::ranges::sort(folders_);
  std::ranges::sort(files_);
}

void FileDialog::show_files(fs::path& go, fs::path& take) {
  const bool saving = question_.purpose == FilePurpose::kSave;
  ImGui::SetNextItemWidth(-1);
  if (ImGui::InputText("##path", &typed_, ImGuiInputTextFlags_EnterReturnsTrue)) {
    std::error_code ignored;
    (fs::is_directory(typed_, ignored) ? go : take) = typed_;
  }
  ImGui::SetItemTooltip("A folder or a file; Enter goes there");
  const float below = ImGui::GetFrameHeightWithSpacing() * (saving ? 2.7f : 1) + ImGui::GetStyle().ItemSpacing.y;
  if (ImGui::BeginChild("##files", {0, -below}, ImGuiChildFlags_Borders)) {
    if (folder_.has_parent_path() && folder_.parent_path() != folder_ && ImGui::Selectable("..")) go = folder_.parent_path();
    for (const auto& path : folders_) {
      if (ImGui::Selectable((path.filename().string() + "/").c_str())) go = path;
    }
    for (const auto& path : files_) {
      if (ImGui::Selectable(path.filename().string().c_str(), path == marked_, ImGuiSelectableFlags_AllowDoubleClick)) {
        marked_ = path;
        if (saving) name_ = path.filename().string();
        else if (ImGui::IsMouseDoubleClicked(ImGuiMouseButton_Left)) take = path;
      }
    }
    if (!problem_.empty()) ImGui::TextColored(theme_colours().error, "%s", problem_.c_str());
    else if (files_.empty()) ImGui::TextColored(theme_colours().muted, "%s", saving ? "No such files here yet." : "Nothing to open here.");
  }
  ImGui::EndChild();
}

void FileDialog::show_open(fs::path& take) {
  ImGui::BeginDisabled(marked_.empty());
  const bool pressed = ImGui::Button("Open") ||
                       (!marked_.empty() && ImGui::IsKeyPressed(ImGuiKey_Enter, ImGuiInputFlags_None) && !ImGui::GetIO().WantTextInput);
  ImGui::EndDisabled();
  ImGui::SameLine();
  if (pressed) take = marked_;
}

// The name, whether it is taken, and the button.
void FileDialog::show_save(fs::path& take) {
  ImGui::SetNextItemWidth(-1);
  if (ImGui::IsWindowAppearing()) ImGui::SetKeyboardFocusHere();   // Enter saves
  const bool entered = ImGui::InputText("##name", &name_, ImGuiInputTextFlags_EnterReturnsTrue);
  std::error_code ignored;
  const fs::path file = folder_ / name_;
  const bool taken = !name_.empty() && fs::exists(file, ignored);
  if (taken) ImGui::TextColored(theme_colours().warning, "%s is there already and would be replaced", name_.c_str());
  else ImGui::TextColored(theme_colours().muted, "in %s", folder_.filename().string().c_str());
  ImGui::BeginDisabled(name_.empty());
  const bool pressed = ImGui::Button(taken ? "Replace" : "Save");
  ImGui::EndDisabled();
  ImGui::SameLine();
  if ((pressed || entered) && !name_.empty()) take = file;
}

void FileDialog::show_own() {
  const std::string popup = question_.title;
  if (opening_) ImGui::OpenPopup(popup.c_str());
  opening_ = false;
  const ImGuiViewport& viewport = *ImGui::GetMainViewport();
  const float font = ImGui::GetFontSize();
  ImGui::SetNextWindowPos({viewport.WorkPos.x + viewport.WorkSize.x / 2, viewport.WorkPos.y + viewport.WorkSize.y / 2}, ImGuiCond_Always,
                          {0.5f, 0.5f});
  ImGui::SetNextWindowSize({std::min(viewport.WorkSize.x * 0.9f, font * 40), std::min(viewport.WorkSize.y * 0.9f, font * 30)});
  bool stays = true;
  if (!ImGui::BeginPopupModal(popup.c_str(), &stays)) {
    open_ = false;
    return;
  }
  fs::path go, take;
  show_files(go, take);
  if (question_.purpose == FilePurpose::kSave) show_save(take);
  else show_open(take);
  const bool cancelled = ImGui::Button("Cancel") || ImGui::IsKeyPressed(ImGuiKey_Escape);
  if (cancelled || !take.empty()) ImGui::CloseCurrentPopup();
  ImGui::EndPopup();
  if (!go.empty()) list(go);
  if (!take.empty()) finish(take);
}

}  // namespace fovea
