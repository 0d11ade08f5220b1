// Layers and ways to compare them: opacity, blend, order, eye, curtain, peek, contrast, undo.
#include <cmath>

#include "app/viewer/layers/heat_layer.h"
#include "app/viewer/layers/image_layer.h"
#include "tests/gui/flow.h"
#include "tests/gui/pictures.h"

namespace fovea::gui {
namespace {

constexpr Point kInside{160, 120};           // of the overlay
constexpr RectD kOverlay{80, 60, 160, 120};

// One value everywhere: the overlay has one colour, that of the table's middle.
HeatLayer& add_overlay(Flow& flow, const char* id = "overlay", RectD place = kOverlay) {
  HeatLayer* added = nullptr;
  flow.on_main([&] {
    added = &flow.workspace().layers.add(std::make_unique<HeatLayer>(id, id));
    added->set_values({.columns = 2, .rows = 2, .values = {0.5f, 0.5f, 0.5f, 0.5f}, .rect_level0 = place});
    added->style.opacity = 1;
    flow.workspace().layers.select(id);
    flow.workspace().history.reset();
  });
  flow.settle();
  return *added;
}

Rgb pixel_at(Flow& flow, Point image) {
  const ImageU8 picture = flow.canvas();
  const Point p = flow.camera().to_canvas(image);
  const std::uint8_t* pixel = picture.row(static_cast<std::int64_t>(p.y)) + 3 * static_cast<std::int64_t>(p.x);
  return {pixel[0], pixel[1], pixel[2]};
}

bool alike(const Rgb& a, const Rgb& b, int tolerance = 1) {
  return std::abs(a.red - b.red) <= tolerance && std::abs(a.green - b.green) <= tolerance && std::abs(a.blue - b.blue) <= tolerance;
}

Rgb middle_of(ColourTable table) {
  const auto& c = colour_entries(table)[128];
  return {c[0], c[1], c[2]};
}

std::string panel_item(const char* item) { return std::string("//Layers###layers/") + item; }

void choose(Flow& flow, const std::string& combo, const std::string& entry) {
  flow.ui.SetRef("//Layers###layers");
  flow.ui.ComboClick((combo + "/" + entry).c_str());
}

}  // namespace

FLOW(layers, opacity_blends_the_overlay_with_the_image) {
  const Rgb image = pixel_at(flow, kInside);
  HeatLayer& overlay = add_overlay(flow);
  IM_CHECK(alike(pixel_at(flow, kInside), middle_of(ColourTable::kViridis)));
  flow.ui.ItemInputValue(panel_item("Opacity").c_str(), 50.0f);
  flow.settle();
  IM_CHECK_EQ(overlay.style.opacity, 0.5f);
  const Rgb table = middle_of(ColourTable::kViridis);
  const Rgb half{(image.red + table.red) / 2, (image.green + table.green) / 2, (image.blue + table.blue) / 2};
  IM_CHECK(alike(pixel_at(flow, kInside), half, 2));
}

FLOW(layers, blends_follow_their_formulas) {
  const Rgb image = pixel_at(flow, kInside), table = middle_of(ColourTable::kViridis);
  add_overlay(flow);
  const auto each = [&](auto formula) { return Rgb{formula(image.red, table.red), formula(image.green, table.green), formula(image.blue, table.blue)}; };
  const std::pair<const char*, Rgb> blends[] = {
      {"Multiply", each([](int a, int b) { return a * b / 255; })},
      {"Screen", each([](int a, int b) { return 255 - (255 - a) * (255 - b) / 255; })},
      {"Add", each([](int a, int b) { return std::min(255, a + b); })},
      {"Normal", table},
  };
  for (const auto& [name, expected] : blends) {
    choose(flow, "Blend", name);
    flow.settle();
    IM_CHECK(alike(pixel_at(flow, kInside), expected, 2));
  }
}

FLOW(layers, colour_tables_and_range_colour_the_values) {
  HeatLayer& overlay = add_overlay(flow);
  for (const ColourTable table : {ColourTable::kMagma, ColourTable::kCividis, ColourTable::kGrey, ColourTable::kBlueRed, ColourTable::kViridis}) {
    choose(flow, "Colours", colour_table_name(table));
    flow.settle();
    IM_CHECK(alike(pixel_at(flow, kInside), middle_of(table), 2));
  }
  overlay.style.low = 0.5f, overlay.style.high = 1;   // the value is the bottom of the range
  flow.settle();
  const auto& lowest = colour_entries(ColourTable::kViridis)[0];
  IM_CHECK(alike(pixel_at(flow, kInside), {lowest[0], lowest[1], lowest[2]}, 2));
  overlay.threshold = 0.6f;                           // and below the threshold: the image shows
  flow.settle();
  const Rgb below = pixel_at(flow, kInside);
  overlay.style.visible = false;
  flow.settle();
  IM_CHECK(alike(pixel_at(flow, kInside), below, 0));
}

FLOW(layers, dragging_in_the_panel_changes_the_order) {
  add_overlay(flow, "first");
  HeatLayer& second = add_overlay(flow, "second");
  second.style.colours = ColourTable::kGrey;
  flow.settle();
  IM_CHECK(alike(pixel_at(flow, kInside), middle_of(ColourTable::kGrey)));
  flow.ui.ItemDragAndDrop(panel_item("second/second").c_str(), panel_item("first/first").c_str());
  flow.settle();
  IM_CHECK_STR_EQ(flow.workspace().layers.at(2).id.c_str(), "first");
  IM_CHECK(alike(pixel_at(flow, kInside), middle_of(ColourTable::kViridis)));
  flow.key(ImGuiMod_Ctrl | ImGuiKey_Z);
  flow.settle();
  IM_CHECK_STR_EQ(flow.workspace().layers.at(2).id.c_str(), "second");
}

FLOW(layers, digits_and_the_eye_toggle) {
  const Rgb image = pixel_at(flow, kInside);
  HeatLayer& overlay = add_overlay(flow);
  flow.key(ImGuiKey_2);
  flow.settle();
  IM_CHECK(!overlay.style.visible);
  IM_CHECK(alike(pixel_at(flow, kInside), image, 0));
  flow.ui.ItemClick(panel_item("overlay/##eye").c_str());
  flow.settle();
  IM_CHECK(overlay.style.visible);
  flow.key(ImGuiKey_1);
  flow.settle();
  IM_CHECK(!flow.workspace().layers.at(0).style.visible);
  IM_CHECK(!alike(pixel_at(flow, {20, 20}), image, 0));
}

FLOW(layers, holding_the_grave_key_peeks_under_the_overlays) {
  const Rgb image = pixel_at(flow, kInside);
  add_overlay(flow);
  flow.ui.KeyDown(ImGuiKey_GraveAccent);
  flow.ui.Yield(2);
  IM_CHECK(alike(pixel_at(flow, kInside), image, 0));
  flow.ui.KeyUp(ImGuiKey_GraveAccent);
  flow.ui.Yield(2);
  IM_CHECK(alike(pixel_at(flow, kInside), middle_of(ColourTable::kViridis)));
}

FLOW(layers, the_curtain_shows_the_overlay_on_one_side) {
  const Rgb left_image = pixel_at(flow, {100, 100});
  add_overlay(flow);
  flow.key(ImGuiKey_C);
  flow.settle();
  IM_CHECK(alike(pixel_at(flow, {100, 100}), left_image, 0));
  IM_CHECK(alike(pixel_at(flow, {220, 100}), middle_of(ColourTable::kViridis)));
  // Its handle follows the mouse.
  const ImVec2 left = flow.on_screen({90, 120});
  flow.ui.ItemDragToPos("//Canvas/##curtain", left);
  flow.settle();
  IM_CHECK(alike(pixel_at(flow, {100, 100}), middle_of(ColourTable::kViridis)));
  IM_CHECK(!alike(pixel_at(flow, {84, 100}), middle_of(ColourTable::kViridis), 8));
  flow.key(ImGuiKey_C);
  flow.settle();
  IM_CHECK(alike(pixel_at(flow, {84, 100}), middle_of(ColourTable::kViridis)));
}

FLOW(layers, undo_and_redo_walk_through_the_changes) {
  HeatLayer& overlay = add_overlay(flow);
  flow.ui.ItemInputValue(panel_item("Opacity").c_str(), 30.0f);
  flow.ui.Yield(3);
  choose(flow, "Blend", "Add");
  flow.ui.Yield(3);
  flow.key(ImGuiKey_2);
  flow.settle();
  IM_CHECK(!overlay.style.visible);
  flow.key(ImGuiMod_Ctrl | ImGuiKey_Z);
  flow.settle();
  IM_CHECK(overlay.style.visible);
  IM_CHECK(overlay.style.blend == Blend::kAdd);
  flow.key(ImGuiMod_Ctrl | ImGuiKey_Z);
  flow.key(ImGuiMod_Ctrl | ImGuiKey_Z);
  flow.settle();
  IM_CHECK(overlay.style.blend == Blend::kNormal);
  IM_CHECK_EQ(overlay.style.opacity, 1.0f);
  IM_CHECK(!flow.workspace().history.can_undo());
  for (int i = 0; i < 3; ++i) flow.key(ImGuiMod_Ctrl | ImGuiMod_Shift | ImGuiKey_Z);
  flow.settle();
  IM_CHECK(!overlay.style.visible);
  IM_CHECK_LT(std::abs(overlay.style.opacity - 0.3f), 1e-6f);
  IM_CHECK(!flow.workspace().history.can_redo());
}

FLOW(layers, a_drag_of_a_slider_is_one_step_of_undo) {
  HeatLayer& overlay = add_overlay(flow);
  const ImRect slider = flow.ui.ItemInfo(panel_item("Opacity").c_str()).RectFull;
  flow.ui.MouseMoveToPos({slider.Max.x - 8, slider.GetCenter().y});
  flow.ui.MouseDown();
  for (int i = 1; i <= 10; ++i) flow.ui.MouseMoveToPos({slider.Max.x - 8 - 6.0f * static_cast<float>(i), slider.GetCenter().y});
  flow.ui.MouseUp();
  flow.settle();
  IM_CHECK_LT(overlay.style.opacity, 0.9f);
  flow.key(ImGuiMod_Ctrl | ImGuiKey_Z);
  flow.settle();
  IM_CHECK_EQ(overlay.style.opacity, 1.0f);
  IM_CHECK(!flow.workspace().history.can_undo());
}

FLOW(layers, contrast_channels_and_false_colour_of_the_image) {
  flow.open(flow.file("blocks.png"));
  flow.on_main([&] { flow.workspace().layers.select("image"); });
  flow.ui.Yield(2);
  const Point place{350, 250};
  const Rgb stored = block_colour(3, 2);
  flow.ui.ItemClick(panel_item("Red").c_str());
  flow.settle();
  IM_CHECK(alike(pixel_at(flow, place), {0, stored.green, stored.blue}));
  flow.ui.ItemClick(panel_item("Blue").c_str());
  flow.settle();
  IM_CHECK(alike(pixel_at(flow, place), {stored.green, stored.green, stored.green}));   // a single channel is grey
  flow.ui.ItemClick(panel_item("False colour").c_str());
  choose(flow, "Colours", "viridis");
  flow.settle();
  const auto& c = colour_entries(ColourTable::kViridis)[static_cast<std::size_t>(stored.green)];
  IM_CHECK(alike(pixel_at(flow, place), {c[0], c[1], c[2]}, 3));
}

FLOW(layers, the_histogram_sets_contrast_of_16_bit_images) {
  flow.open(flow.file("grey16.tif"));
  IM_CHECK(flow.run("panel.histogram"));
  flow.settle();
  auto& image = dynamic_cast<ImageLayer&>(*flow.workspace().layers.find("image"));
  IM_CHECK_EQ(image.white_level(), 1023);      // ten bits are in use
  IM_CHECK_LT(std::abs(image.style.high * 1023 - 997), 8.0f);   // as it opens
  IM_CHECK(!flow.workspace().history.modified());
  IM_CHECK_GT(pixel_at(flow, {298.5, 100}).red, 250);
  flow.ui.ItemClick("//Histogram###histogram/Reset");
  flow.settle();
  IM_CHECK_EQ(image.style.high, 1.0f);
  flow.ui.ItemClick("//Histogram###histogram/Auto");
  flow.settle();
  IM_CHECK_LT(std::abs(image.style.high * 1023 - 997), 8.0f);   // 0.2 % of the values beyond
  IM_CHECK_LT(image.style.low * 1023, 8.0f);
  IM_CHECK_GT(pixel_at(flow, {298.5, 100}).red, 250);
  IM_CHECK_LT(pixel_at(flow, {1.5, 100}).red, 5);
}

FLOW(layers, nearest_and_smooth_magnification) {
  flow.open(flow.file("blocks.png"));
  flow.on_main([&] {
    flow.workspace().layers.select("image");
    flow.camera().look_at({100, 50}, 32);
    flow.camera().jump_to_target();
  });
  flow.settle();
  const Rgb left = block_colour(0, 0), right = block_colour(1, 0);
  IM_CHECK(alike(pixel_at(flow, {99.95, 50}), left));
  IM_CHECK(alike(pixel_at(flow, {100.05, 50}), right));
  flow.ui.ItemClick(panel_item("Smooth").c_str());
  flow.settle();
  const Rgb middle{(left.red + right.red) / 2, (left.green + right.green) / 2, (left.blue + right.blue) / 2};
  IM_CHECK(alike(pixel_at(flow, {100.0, 50}), middle, 2));
}

}  // namespace fovea::gui
