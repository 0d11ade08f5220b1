#include "app/viewer/folder/folder_feature.h"

#include <imgui.h>

#include <algorithm>
#include <cctype>

#include "app/viewer/panels/widgets.h"
#include "app/viewer/resources.h"
#include "app/viewer/theme.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;

constexpr float kTile = 112;               // points
constexpr std::size_t kKept = 400;         // thumbnails: 30 MB
constexpr double kListEvery_s = 3;         // new files are seen by then

// Numbers inside names by their value.
bool comes_before(const std::string& a, const std::string& b) {
  const auto digit = [](char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; };
  std::size_t i = 0, j = 0;
  while (i < a.size() && j < b.size()) {
    if (digit(a[i]) && digit(b[j])) {
      std::size_t i_end = i, j_end = j;
      while (i_end < a.size() && digit(a[i_end])) ++i_end;
      while (j_end < b.size() && digit(b[j_end])) ++j_end;
      std::string first = a.substr(i, i_end - i), second = b.substr(j, j_end - j);
      first.erase(0, std::min(first.find_first_not_of('0'), first.size())),
          second.erase(0, std::min(second.find_first_not_of('0'), second.size()));
      if (first.size() != second.size()) return first.size() < second.size();
      if (first != second) return first < second;
      i = i_end, j = j_end;
      continue;
    }
    const int x = std::tolower(static_cast<unsigned char>(a[i])), y = std::tolower(static_cast<unsigned char>(b[j]));
    if (x != y) return x < y;
    ++i, ++j;
  }
  if (a.size() - i != b.size() - j) return a.size() - i < b.size() - j;
  return a < b;
}

}  // namespace

std::vector<fs::path> images_in(const fs::path& folder) {
  std::vector<fs::path> images;
  std::error_code code, ignored;
  for (fs::directory_iterator entry(folder, fs::directory_options::skip_permission_denied, code), end; !code && entry != end;
       entry.increment(code)) {
    const fs::path& path = entry->path();
    if (!path.filename().string().starts_with(".") && has_image_extension(path) && !path.stem().string().ends_with("_mask") &&
        entry->is_regular_file(ignored)) {
      images.push_back(path);
    }
  }
  std::ranges::sort(images,
                    [](const fs::path& a, const fs::path& b) { return comes_before(a.filename().string(), b.filename().string()); });
  return images;
}

FolderFeature::FolderFeature(Workspace& workspace, const fs::path& pyramids)
    : workspace_(workspace), maker_(pyramids, [wake = workspace.main_thread.wake] { if (wake) wake(); }) {
  workspace_.panels.add({.id = "folder", .title = "Folder", .place = DockPlace::kLeft, .show = [this] { show(); }, .open = false,
                         .shortcut = ImGuiKey_O,
                         .tip = "The other images of the folder"});
  const auto add = [&](const char* id, const char* title, ImGuiKey key, std::ptrdiff_t step) {
    workspace_.actions.add({.id = id, .title = title, .group = "File", .shortcut = key, .tip = "In the folder, by name",
                            .run = [this, step] { open_neighbour(step); },
                            .enabled = [this, step] { return has_neighbour(step); }});
  };
  add("file.previous", "Previous image", ImGuiKey_PageUp, -1);
  add("file.next", "Next image", ImGuiKey_PageDown, 1);
  workspace_.on_image_changed.push_back([this] {
    if (!workspace_.image) return;
    list(workspace_.image->path.parent_path());
    scroll_to_open_ = true;
  });
  workspace_.on_context_renewed.push_back([this] { thumbnails_.clear(); });
  workspace_.openers.push_back([this](const fs::path& path) {
    std::error_code ignored;
    if (!fs::is_directory(path, ignored)) return false;
    show_folder(path);
    return true;
  });
  workspace_.every_frame.push_back([this] {
    take_thumbnails();
    if (!chosen_.empty()) workspace_.open(std::exchange(chosen_, {}));
    return false;
  });
}

void FolderFeature::show_folder(const fs::path& folder) {
  std::error_code ignored;
  list(fs::absolute(folder, ignored));
  workspace_.panels.open("folder");
  if (images_.empty()) workspace_.messages.warn(folder.string() + ": no images in this folder");
}

void FolderFeature::list(const fs::path& folder) {
  folder_ = folder;
  images_ = images_in(folder);
  listed_s_ = ImGui::GetTime();
}

bool FolderFeature::has_neighbour(std::ptrdiff_t step) const {
  if (!workspace_.image) return false;
  const auto found = std::ranges::find(images_, workspace_.image->path);
  if (found == images_.end()) return false;
  const auto at = (found - images_.begin()) + step;
  return at >= 0 && at < static_cast<std::ptrdiff_t>(images_.size());
}

void FolderFeature::open_neighbour(std::ptrdiff_t step) {
  // What cannot be opened is told and passed over.
  const std::vector<fs::path> images = images_;
  auto at = std::ranges::find(images, workspace_.image->path) - images.begin() + step;
  while (at >= 0 && at < static_cast<std::ptrdiff_t>(images.size()) && !workspace_.open(images[static_cast<std::size_t>(at)])) at += step;
}

// Textures of what is ready; the least recently seen make room.
void FolderFeature::take_thumbnails() {
  for (MadeThumbnail& made : maker_.take()) {
    Shown& shown = thumbnails_[made.path];
    shown = {.texture = {}, .image_width = made.width, .image_height = made.height, .error = std::move(made.error),
             .used_s = ImGui::GetTime()};
    if (made.picture.empty()) continue;
    shown.width = static_cast<float>(made.picture.width()), shown.height = static_cast<float>(made.picture.height());
    shown.texture = gl::create_texture();
    glBindTexture(GL_TEXTURE_2D, shown.texture.id());
    glPixelStorei(GL_UNPACK_ALIGNMENT, 1);
    glTexImage2D(GL_TEXTURE_2D, 0, GL_RGB8, static_cast<GLsizei>(made.picture.width()), static_cast<GLsizei>(made.picture.height()), 0,
                 GL_RGB, GL_UNSIGNED_BYTE, made.picture.samples().data());
    gl::set_sampling(GL_LINEAR);
  }
  while (thumbnails_.size() > kKept) {
    thumbnails_.erase(std::ranges::min_element(thumbnails_, {}, [](const auto& entry) { return entry.second.used_s; }));
  }
}

void FolderFeature::show() {
  if (folder_.empty()) return muted_text("Open an image, or drop a folder here: its images appear as small pictures.");
  if (ImGui::GetTime() - listed_s_ > kListEvery_s) list(fs::path(folder_));
  if (ImGui::SmallButton("Up") && folder_.has_parent_path()) return list(folder_.parent_path());
  ImGui::SameLine();
  ImGui::TextColored(theme_colours().muted, "%s, %zu image%s", folder_.filename().c_str(), images_.size(), images_.size() == 1 ? "" : "s");
  ImGui::SetItemTooltip("%s", folder_.c_str());
  if (!ImGui::BeginChild("##images")) return ImGui::EndChild();
  const float scale = ImGui::GetStyle().FontScaleDpi, side = kTile * scale, gap = ImGui::GetStyle().ItemSpacing.x;
  const int columns = std::max(1, static_cast<int>((ImGui::GetContentRegionAvail().x + gap) / (side + gap)));
  const int rows = (static_cast<int>(images_.size()) + columns - 1) / columns;
  const float row_height = side + ImGui::GetTextLineHeightWithSpacing() + gap;
  if (std::exchange(scroll_to_open_, false) && workspace_.image) {
    const auto found = std::ranges::find(images_, workspace_.image->path);
    if (found != images_.end()) {
      const float y = static_cast<float>((found - images_.begin()) / columns) * row_height;
      if (y < ImGui::GetScrollY() || y + row_height > ImGui::GetScrollY() + ImGui::GetWindowHeight()) ImGui::SetScrollY(y - row_height);
    }
  }
  wanted_.clear();
  ImGuiListClipper clipper;
  clipper.Begin(rows, row_height);
  while (clipper.Step()) {
    for (int row = clipper.DisplayStart; row < clipper.DisplayEnd; ++row) {
      for (int column = 0; column < columns && row * columns + column < static_cast<int>(images_.size()); ++column) {
        if (column > 0) ImGui::SameLine();
        show_tile(images_[static_cast<std::size_t>(row * columns + column)], side);
      }
    }
  }
  ImGui::EndChild();
  maker_.request(wanted_);
}

void FolderFeature::show_tile(const fs::path& path, float side) {
  const std::string name = path.filename().string();
  const bool is_open = workspace_.image && workspace_.image->path == path;
  ImGui::PushID(name.c_str());
  const ImVec2 low = ImGui::GetCursorScreenPos();
  const float line = ImGui::GetTextLineHeight();
  if (ImGui::InvisibleButton("##tile", {side, side + line})) chosen_ = path;
  ImDrawList& list = *ImGui::GetWindowDrawList();
  const ImVec2 high{low.x + side, low.y + side};
  list.AddRectFilled(low, high, ImGui::GetColorU32(ImGui::IsItemHovered() ? ImGuiCol_FrameBgHovered : ImGuiCol_FrameBg), 3);
  const auto found = thumbnails_.find(path);
  if (found == thumbnails_.end()) {
    wanted_.push_back(path);
  } else {
    Shown& shown = found->second;
    shown.used_s = ImGui::GetTime();
    if (shown.texture) {
      const float fit = std::min((side - 6) / shown.width, (side - 6) / shown.height), width = fit * shown.width,
                  height = fit * shown.height;
      const ImVec2 at{low.x + (side - width) / 2, low.y + (side - height) / 2};
      list.AddImage(static_cast<ImTextureID>(shown.texture.id()), at, {at.x + width, at.y + height});
      ImGui::SetItemTooltip("%s\n%lld × %lld", name.c_str(), static_cast<long long>(shown.image_width),
                            static_cast<long long>(shown.image_height));
    } else {
      list.AddText({low.x + side / 2 - ImGui::CalcTextSize("unreadable").x / 2, low.y + side / 2 - line / 2},
                   ImGui::GetColorU32(theme_colours().warning), "unreadable");
      ImGui::SetItemTooltip("%s", shown.error.c_str());
    }
  }
  if (is_open) list.AddRect(low, high, ImGui::GetColorU32(theme_colours().accent), 3, 2 * ImGui::GetStyle().FontScaleDpi);
  list.PushClipRect({low.x, high.y}, {high.x, high.y + line + 2}, true);
  list.AddText({low.x + 2, high.y + 1}, ImGui::GetColorU32(is_open ? ImGui::GetStyleColorVec4(ImGuiCol_Text) : theme_colours().muted),
               name.c_str());
  list.PopClipRect();
  ImGui::PopID();
}

std::unique_ptr<Feature> make_folder_feature(Workspace& workspace) {
  return std::make_unique<FolderFeature>(workspace, user_cache_folder() / "pyramids");
}

}  // namespace fovea
