#include "app/viewer/project/view_sections.h"

#include <algorithm>
#include <cmath>

namespace fovea {
namespace {

using nlohmann::json;

std::optional<double> number(const json& from, const char* key) {
  const auto found = from.find(key);
  if (found == from.end() || !found->is_number() || !std::isfinite(found->get<double>())) return std::nullopt;
  return found->get<double>();
}

std::string text(const json& from, const char* key) {
  const auto found = from.find(key);
  return found != from.end() && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace

ProjectSection camera_section(Workspace& workspace) {
  return {.name = "view", .use = SectionUse::kFileOnly,
          .save = [&workspace]() -> json {
            const Camera& camera = workspace.camera;
            const Rect seen = camera.visible_pixels();
            return {{"centre", {camera.centre().x, camera.centre().y}},
                    {"zoom", camera.zoom()},
                    {"seen", {seen.x, seen.y, seen.width, seen.height}}};
          },
          .load = [&workspace](const json& saved) {
            if (!saved.is_object()) return;
            const auto centre = saved.find("centre");
            const auto zoom = number(saved, "zoom");
            const bool placed =
                centre != saved.end() && centre->is_array() && centre->size() == 2 && (*centre)[0].is_number() && (*centre)[1].is_number();
            if (!placed || !zoom || *zoom <= 0) return;
            workspace.camera.look_at({(*centre)[0].get<double>(), (*centre)[1].get<double>()}, *zoom);
            workspace.camera.jump_to_target();
          }};
}

ProjectSection comparison_section(Workspace& workspace) {
  return {.name = "comparison",
          .save = [&workspace]() -> json {
            const Comparison& comparison = workspace.comparison;
            return {{"four_views", comparison.arrangement == Arrangement::kQuad},
                    {"curtain", comparison.curtain.on},
                    {"place", comparison.curtain.place},
                    {"left", comparison.curtain.left},
                    {"right", comparison.curtain.right}};
          },
          .load = [&workspace](const json& saved) {
            if (!saved.is_object()) return;
            Comparison& comparison = workspace.comparison;
            const auto flag = [&](const char* key) { return saved.contains(key) && saved[key].is_boolean() && saved[key].get<bool>(); };
            comparison.arrangement = flag("four_views") ? Arrangement::kQuad : Arrangement::kSingle;
            comparison.curtain = {.on = flag("curtain"),
                                  .place = static_cast<float>(std::clamp(number(saved, "place").value_or(0.5), 0.0, 1.0)),
                                  .left = text(saved, "left"), .right = text(saved, "right")};
          }};
}

ProjectSection model_section(Workspace& workspace) {
  return {.name = "model", .save = [&workspace]() -> json {
            return workspace.image ? model_for_project(workspace.model.name, workspace.image->path.parent_path()) : workspace.model.name;
          },
          .load = [&workspace](const json& saved) {
            if (!saved.is_string() || saved.get<std::string>().empty() || !workspace.image) return;
            workspace.model.choose(model_of_project(saved.get<std::string>(), workspace.image->path.parent_path()));
          }};
}

}  // namespace fovea
