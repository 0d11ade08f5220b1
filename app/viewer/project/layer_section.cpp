#include "app/viewer/project/layer_section.h"

#include <algorithm>
#include <cmath>

#include "app/viewer/layers/image_layer.h"

namespace fovea {
namespace {

using nlohmann::json;

json save_layer(const Layer& layer) {
  const LayerStyle& style = layer.style;
  json saved{{"id", layer.id}, {"visible", style.visible}, {"opacity", style.opacity}, {"blend", static_cast<int>(style.blend)},
             {"colours", colour_table_name(style.colours)}, {"low", style.low}, {"high", style.high}};
  if (const auto* image = dynamic_cast<const ImageLayer*>(&layer)) {
    const ImageAppearance& look = image->appearance;
    saved["appearance"] = {{"gamma", look.gamma}, {"red", look.red}, {"green", look.green}, {"blue", look.blue}, {"false_colour", look.false_colour},
                           {"smooth", look.magnification == Magnification::kSmooth}};
  }
  return saved;
}

// A person may have edited the file: what is missing or of another type stays as it is.
template <class T>
void take(const json& from, const char* key, T& value) {
  const auto found = from.find(key);
  if (found == from.end()) return;
  if constexpr (std::is_same_v<T, bool>) {
    if (found->is_boolean()) value = found->get<bool>();
  } else if constexpr (std::is_same_v<T, std::string>) {
    if (found->is_string()) value = found->get<std::string>();
  } else {
    if (found->is_number()) value = found->get<T>();
  }
}

void load_layer(const json& saved, Layer& layer) {
  LayerStyle& style = layer.style;
  int blend = static_cast<int>(style.blend);
  std::string colours = colour_table_name(style.colours);
  take(saved, "visible", style.visible);
  take(saved, "opacity", style.opacity);
  take(saved, "blend", blend);
  take(saved, "colours", colours);
  take(saved, "low", style.low);
  take(saved, "high", style.high);
  style.opacity = std::clamp(style.opacity, 0.0f, 1.0f);
  style.blend = static_cast<Blend>(std::clamp(blend, 0, static_cast<int>(Blend::kAdd)));
  style.colours = parse_colour_table(colours);
  auto* image = dynamic_cast<ImageLayer*>(&layer);
  const auto look = saved.find("appearance");
  if (!image || look == saved.end() || !look->is_object()) return;
  bool smooth = image->appearance.magnification == Magnification::kSmooth;
  take(*look, "gamma", image->appearance.gamma);
  take(*look, "red", image->appearance.red);
  take(*look, "green", image->appearance.green);
  take(*look, "blue", image->appearance.blue);
  take(*look, "false_colour", image->appearance.false_colour);
  take(*look, "smooth", smooth);
  image->appearance.gamma = std::clamp(image->appearance.gamma, 0.2f, 5.0f);
  image->appearance.magnification = smooth ? Magnification::kSmooth : Magnification::kNearest;
}

}  // namespace

ProjectSection layer_section(Workspace& workspace) {
  return {.name = "layers",
          .save = [&workspace] {
            json all = json::array();
            for (const auto& layer : workspace.layers.all()) all.push_back(save_layer(*layer));
            return all;
          },
          .load = [&workspace](const json& all) {
            if (!all.is_array()) return;
            std::size_t place = 0;
            for (const json& saved : all) {
              if (!saved.is_object() || !saved.contains("id") || !saved["id"].is_string()) continue;
              const auto layers = workspace.layers.all();
              const auto found = std::ranges::find(layers, saved["id"].get<std::string>(), [](const auto& layer) { return layer->id; });
              if (found == layers.end()) continue;
              load_layer(saved, **found);
              workspace.layers.move(static_cast<std::size_t>(found - layers.begin()), std::min(place, layers.size() - 1));
              ++place;
            }
          }};
}

}  // namespace fovea
