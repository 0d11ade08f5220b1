#include "app/viewer/project/layer_section.h"

#include <algorithm>
#include <map>
#include <memory>

#include "app/viewer/layers/heat_layer.h"
#include "app/viewer/layers/image_layer.h"
#include "app/viewer/layers/label_layer.h"

namespace fovea {
namespace {

using nlohmann::json;

json save_layer(const Layer& layer) {
  const LayerStyle& style = layer.style;
  json saved{{"id", layer.id}, {"visible", style.visible}, {"opacity", style.opacity}, {"blend", static_cast<int>(style.blend)},
             {"colours", colour_table_name(style.colours)}, {"low", style.low}, {"high", style.high}};
  if (const auto* image = dynamic_cast<const ImageLayer*>(&layer)) {
    const ImageAppearance& look = image->appearance;
    saved["appearance"] = {{"gamma", look.gamma},
                           {"red", look.red},
                           {"green", look.green},
                           {"blue", look.blue},
                           {"false_colour", look.false_colour},
                           {"smooth", look.magnification == Magnification::kSmooth}};
  }
  if (const auto* heat = dynamic_cast<const HeatLayer*>(&layer)) {
    saved["smooth"] = heat->smooth;
    saved["low_transparent"] = heat->alpha == HeatAlpha::kByValue;
  }
  if (const auto* labels = dynamic_cast<const LabelLayer*>(&layer)) {
    for (const LabelClass& entry : labels->entries) saved["classes"].push_back({{"visible", entry.visible}, {"colour", entry.colour}});
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

void load_classes(const json& saved, LabelLayer& labels) {
  const auto classes = saved.find("classes");
  if (classes == saved.end() || !classes->is_array()) return;
  for (std::size_t i = 0; i < std::min(classes->size(), labels.entries.size()); ++i) {
    const json& entry = (*classes)[i];
    if (!entry.is_object()) continue;
    take(entry, "visible", labels.entries[i].visible);
    const auto colour = entry.find("colour");
    const auto is_sample = [](const json& v) {
      return v.is_number_integer() && v.get<std::int64_t>() >= 0 && v.get<std::int64_t>() <= 255;
    };
    if (colour == entry.end() || !colour->is_array() || colour->size() != 3 || !std::ranges::all_of(*colour, is_sample)) continue;
    for (std::size_t c = 0; c < 3; ++c) labels.entries[i].colour[c] = (*colour)[c].get<std::uint8_t>();
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
  if (auto* labels = dynamic_cast<LabelLayer*>(&layer)) load_classes(saved, *labels);
  if (auto* heat = dynamic_cast<HeatLayer*>(&layer)) {
    bool low_transparent = heat->alpha == HeatAlpha::kByValue;
    take(saved, "smooth", heat->smooth);
    take(saved, "low_transparent", low_transparent);
    heat->alpha = low_transparent ? HeatAlpha::kByValue : HeatAlpha::kFlat;
  }
  const auto look = saved.find("appearance");
  if (image) image->contrast_is_open = false;
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

// Layers that are not there yet: a map that the model has still to make looks as it was saved, and lies where it lay.
struct Awaited {
  std::map<std::string, json> styles;
  std::vector<std::string> order;        // of all that were saved, bottom first
};

// Above the nearest of those that were below it.
void put_in_order(LayerList& layers, const std::vector<std::string>& order, const std::string& id) {
  const auto place_of = [&](const std::string& wanted) {
    return static_cast<std::size_t>(std::ranges::find(layers.all(), wanted, [](const auto& layer) { return layer->id; }) -
                                    layers.all().begin());
  };
  const std::size_t from = place_of(id);
  for (auto below = std::ranges::find(order, id); below != order.begin();) {
    const std::size_t place = place_of(*--below);
    if (place < layers.size()) return layers.move(from, place < from ? place + 1 : place);
  }
}

}  // namespace

ProjectSection layer_section(Workspace& workspace) {
  auto awaited = std::make_shared<Awaited>();
  workspace.layers.on_added = [&workspace, awaited](Layer& layer) {
    const auto style = awaited->styles.extract(layer.id);
    if (!style) return;
    load_layer(style.mapped(), layer);
    put_in_order(workspace.layers, awaited->order, layer.id);
  };
  workspace.on_image_changed.push_back([awaited] { *awaited = {}; });
  return {.name = "layers",
          .save = [&workspace] {
            json all = json::array();
            for (const auto& layer : workspace.layers.all()) all.push_back(save_layer(*layer));
            return all;
          },
          .load = [&workspace, awaited](const json& all) {
            if (!all.is_array()) return;
            *awaited = {};
            std::size_t place = 0;
            for (const json& saved : all) {
              if (!saved.is_object() || !saved.contains("id") || !saved["id"].is_string()) continue;
              const auto id = saved["id"].get<std::string>();
              awaited->order.push_back(id);
              const auto layers = workspace.layers.all();
              const auto found = std::ranges::find(layers, id, [](const auto& layer) { return layer->id; });
              if (found == layers.end()) {
                awaited->styles[id] = saved;
                continue;
              }
              load_layer(saved, **found);
              workspace.layers.move(static_cast<std::size_t>(found - layers.begin()), std::min(place, layers.size() - 1));
              ++place;
            }
          }};
}

}  // namespace fovea
