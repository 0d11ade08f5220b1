// Looking around: zoom, pan, fit, 1:1, minimap, four views, full screen, sizes of the window.
#include <cmath>

#include "tests/gui/flow.h"
#include "tests/gui/pictures.h"

namespace fovea::gui {
namespace {

double distance(Point a, Point b) { return std::hypot(a.x - b.x, a.y - b.y); }
double distance(ImVec2 a, ImVec2 b) { return std::hypot(a.x - b.x, a.y - b.y); }

// Whether the canvas shows the blocks.png pixel's block there.
bool shows_block(Flow& flow, Point image) {
  const ImageU8 picture = flow.canvas();
  const Point p = flow.camera().to_canvas(image);
  const std::uint8_t* pixel = picture.row(static_cast<std::int64_t>(p.y)) + 3 * static_cast<std::int64_t>(p.x);
  const Rgb expected = block_colour(static_cast<std::int64_t>(image.x) / 100, static_cast<std::int64_t>(image.y) / 100);
  return std::abs(pixel[0] - expected.red) <= 1 && std::abs(pixel[1] - expected.green) <= 1 && std::abs(pixel[2] - expected.blue) <= 1;
}

}  // namespace

FLOW(canvas, opening_shows_the_whole_image) {
  flow.open(flow.file("blocks.png"));
  IM_CHECK_EQ(flow.camera().zoom(), flow.camera().fit_zoom());
  for (const Point p : {Point{50, 50}, {950, 50}, {50, 650}, {950, 650}, {450, 350}}) IM_CHECK(shows_block(flow, p));
}

FLOW(canvas, the_wheel_zooms_at_the_cursor) {
  flow.open(flow.file("blocks.png"));
  const Point place{730, 210};
  const ImVec2 before = flow.on_screen(place);
  const double zoom = flow.camera().zoom();
  flow.wheel(place, 3);
  IM_CHECK_LT(std::abs(flow.camera().zoom() / zoom - std::pow(1.25, 3)), 1e-3);
  IM_CHECK_LT(distance(flow.on_screen(place), before), 1.5);   // the mouse is on whole points
  IM_CHECK(shows_block(flow, place));
  flow.wheel(place, -3);
  IM_CHECK_LT(std::abs(flow.camera().zoom() / zoom - 1), 1e-3);
}

FLOW(canvas, zooming_stays_in_its_limits) {
  flow.move({160, 120});
  for (int i = 0; i < 8; ++i) flow.ui.MouseWheelY(5);
  flow.settle();
  IM_CHECK_EQ(flow.camera().zoom(), Camera::kMaxZoom);
  for (int i = 0; i < 8; ++i) flow.ui.MouseWheelY(-5);
  flow.settle();
  IM_CHECK_EQ(flow.camera().zoom(), flow.camera().min_zoom());
}

FLOW(canvas, dragging_pans_with_the_hand) {
  flow.open(flow.file("blocks.png"));
  flow.wheel({500, 350}, 6);
  const Point place{500, 350};
  const ImVec2 before = flow.on_screen(place);
  flow.ui.MouseMoveToPos(before);
  flow.ui.MouseDown();
  flow.ui.MouseMoveToPos({before.x + 60, before.y - 45});
  flow.ui.MouseUp();
  flow.settle();
  IM_CHECK_LT(distance(flow.on_screen(place), {before.x + 60, before.y - 45}), 1.0);
}

FLOW(canvas, the_middle_button_and_space_pan_with_every_tool) {
  flow.open(flow.file("blocks.png"));
  IM_CHECK(flow.run("tool.brush"));
  flow.wheel({500, 350}, 6);
  const Point before = flow.camera().centre();
  flow.drag({500, 350}, {460, 330}, ImGuiMouseButton_Middle);
  flow.settle();
  const Point after = flow.camera().centre();
  IM_CHECK_LT(distance(after, {before.x + 40, before.y + 20}), 2.0);
  flow.ui.KeyDown(ImGuiKey_Space);
  flow.drag({500, 350}, {540, 370});
  flow.ui.KeyUp(ImGuiKey_Space);
  flow.settle();
  IM_CHECK_LT(distance(flow.camera().centre(), before), 3.0);
}

FLOW(canvas, arrows_move_the_view) {
  flow.open(flow.file("blocks.png"));
  flow.wheel({500, 350}, 8);
  const Point before = flow.camera().centre();
  flow.key(ImGuiKey_RightArrow);
  flow.settle();
  IM_CHECK_GT(flow.camera().centre().x, before.x);
  flow.key(ImGuiKey_DownArrow);
  flow.settle();
  IM_CHECK_GT(flow.camera().centre().y, before.y);
  flow.key(ImGuiKey_LeftArrow);
  flow.key(ImGuiKey_UpArrow);
  flow.settle();
  IM_CHECK_LT(distance(flow.camera().centre(), before), 0.5);
}

FLOW(canvas, keys_fit_and_show_actual_pixels) {
  flow.open(flow.file("blocks.png"));
  flow.key(ImGuiMod_Ctrl | ImGuiKey_0);
  flow.settle();
  IM_CHECK_EQ(flow.camera().zoom(), 1.0);
  flow.key(ImGuiKey_Equal);
  flow.settle();
  IM_CHECK_GT(flow.camera().zoom(), 1.4);
  flow.key(ImGuiKey_Minus);
  flow.settle();
  IM_CHECK_LT(std::abs(flow.camera().zoom() - 1), 1e-3);
  flow.key(ImGuiKey_0);
  flow.settle();
  IM_CHECK_EQ(flow.camera().zoom(), flow.camera().fit_zoom());
}

FLOW(canvas, a_double_click_zooms_in_and_with_shift_out) {
  flow.open(flow.file("blocks.png"));
  const double zoom = flow.camera().zoom();
  const Point place{300, 400};
  const ImVec2 before = flow.on_screen(place);
  flow.ui.MouseMoveToPos(before);
  flow.ui.MouseDoubleClick();
  flow.settle();
  IM_CHECK_LT(std::abs(flow.camera().zoom() / zoom - 2), 1e-3);
  IM_CHECK_LT(distance(flow.on_screen(place), before), 1.5);
  flow.ui.Yield(60);   // not the third and fourth click of one gesture
  flow.ui.KeyDown(ImGuiMod_Shift);
  flow.ui.MouseDoubleClick();
  flow.ui.KeyUp(ImGuiMod_Shift);
  flow.settle();
  IM_CHECK_LT(std::abs(flow.camera().zoom() / zoom - 1), 1e-3);
}

FLOW(canvas, a_new_movement_replaces_the_one_under_way) {
  flow.open(flow.file("blocks.png"));
  flow.move({500, 350});
  flow.ui.MouseWheelY(8);
  flow.ui.Yield(2);
  IM_CHECK_LT(flow.camera().zoom(), flow.camera().target_zoom());   // still on its way
  flow.key(ImGuiKey_0);
  flow.settle();
  IM_CHECK_EQ(flow.camera().zoom(), flow.camera().fit_zoom());
}

FLOW(canvas, the_minimap_goes_where_it_is_clicked) {
  flow.open(flow.file("blocks.png"));
  flow.wheel({500, 350}, 8);
  const double zoom = flow.camera().zoom();
  const ImGuiTestItemInfo map = flow.ui.ItemInfo("//Canvas/##minimap");
  const ImRect rect = map.RectFull;
  flow.ui.MouseMoveToPos({rect.Min.x + rect.GetWidth() * 0.25f, rect.Min.y + rect.GetHeight() * 0.75f});
  flow.ui.MouseClick();
  flow.settle();
  IM_CHECK_LT(distance(flow.camera().centre(), {250, 525}), 10.0);   // a point of the minimap is five pixels of the image
  IM_CHECK_LT(std::abs(flow.camera().zoom() / zoom - 1), 1e-3);
  flow.key(ImGuiKey_M);
  IM_CHECK(!flow.ui.ItemExists("//Canvas/##minimap"));
}

FLOW(canvas, four_views_move_together) {
  flow.open(flow.file("blocks.png"));
  flow.key(ImGuiKey_Q);
  flow.settle();
  IM_CHECK_EQ(flow.workspace().comparison.views(), 4);
  const ImGuiWindow* canvas = ImGui::FindWindowByName("Canvas");
  // The wheel in the last view zooms at the place shown there.
  const ImVec2 corner{canvas->Pos.x + canvas->Size.x / 2, canvas->Pos.y + canvas->Size.y / 2};
  const Point inside{flow.camera().canvas().width / 3, flow.camera().canvas().height / 3};
  const Point under = flow.camera().to_image(inside);
  flow.ui.MouseMoveToPos({corner.x + static_cast<float>(inside.x) + 1, corner.y + static_cast<float>(inside.y) + 1});
  flow.ui.MouseWheelY(4);
  flow.settle();
  IM_CHECK_LT(distance(flow.camera().to_canvas(under), inside), 2.5);
  IM_CHECK(shows_block(flow, under));
  flow.key(ImGuiKey_Q);
  flow.settle();
  IM_CHECK_EQ(flow.workspace().comparison.views(), 1);
}

FLOW(canvas, the_status_line_reads_pixels_and_map_coordinates) {
  flow.open(flow.file("map.tif"));
  flow.key(ImGuiMod_Ctrl | ImGuiKey_0);
  flow.settle();
  // A pixel of the canvas near the image's (100, 40), and where its middle is in the image.
  const Point near = flow.camera().to_canvas({100.5, 40.5});
  const auto x = static_cast<std::int64_t>(near.x), y = static_cast<std::int64_t>(near.y);
  const Point place = flow.camera().to_image({static_cast<double>(x) + 0.5, static_cast<double>(y) + 0.5});
  flow.move(place);
  flow.settle();
  const Layer* image = flow.workspace().layers.find("image");
  flow.wait("the pixel's values", [&] { return image->describe(place) != "…"; });
  const ImageU8 picture = flow.canvas();
  const std::uint8_t* pixel = picture.row(y) + 3 * x;
  const std::string expected = std::to_string(pixel[0]) + " " + std::to_string(pixel[1]) + " " + std::to_string(pixel[2]);
  IM_CHECK_STR_EQ(image->describe(place).c_str(), expected.c_str());
}

FLOW(canvas, the_window_may_be_any_size) {
  flow.open(flow.file("blocks.png"));
  for (const auto& [width, height] : {std::pair{1, 1}, {1, 600}, {900, 1}, {64, 64}, {333, 777}, {1920, 1200}, {800, 480}}) {
    flow.resize(width, height);
    flow.ui.Yield(5);
    IM_CHECK_STR_EQ(flow.stage().take_gl_error().c_str(), "");
  }
  flow.settle();
  IM_CHECK_EQ(flow.camera().zoom(), flow.camera().fit_zoom());   // a view of the whole image stays one
  IM_CHECK(shows_block(flow, {950, 650}));
}

}  // namespace fovea::gui
