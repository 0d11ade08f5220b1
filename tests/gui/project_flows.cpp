// Projects, what is brought beside the image, and what is saved: as a person does it, with the files that come of it.
#include <fstream>

#include "app/viewer/export/picture.h"
#include "app/viewer/folder/thumbnail_maker.h"
#include "app/viewer/layers/heat_layer.h"
#include "app/viewer/project/project_file.h"
#include "app/viewer/resources.h"
#include "core/base/files.h"
#include "core/image/image_source.h"
#include "core/image/writers.h"
#include "tests/gui/flow.h"
#include "tests/gui/pictures.h"

namespace fovea::gui {
namespace {

// Own dialogs, whatever the machine has; answers the save dialog with a name in the flows' folder.
void save_as(Flow& flow, const char* action, const char* title, const std::string& name) {
  flow.workspace().settings.system_dialogs = false;
  std::error_code ignored;
  std::filesystem::remove(flow.file(name), ignored);
  IM_CHECK(flow.run(action));
  flow.ui.Yield(2);
  const std::string dialog = std::string("//") + title;
  flow.ui.SetRef(dialog.c_str());
  flow.ui.ItemInputValue("##name", name.c_str());   // Enter saves
  flow.settle();
}

void write_mask(const std::filesystem::path& path, std::int64_t width, std::int64_t height) {
  ImageU8 classes(width, height, 1);
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t x = 0; x < width; ++x) classes.row(y)[x] = static_cast<std::uint8_t>(x * 3 / width);
  }
  const auto writer = create_mask_writer({.path = path, .format = MaskFormat::kPng, .width = width, .height = height, .palette = {{255, 0, 0}, {0, 255, 0}, {0, 0, 255}}});
  writer->append(classes);
  writer->finish();
}

}  // namespace

FLOW(project, a_project_brings_everything_back) {
  flow.open(flow.file("blocks.png"));
  write_mask(flow.file("blocks_mask.png"), 1000, 700);
  flow.drop({flow.file("blocks_mask.png")});
  IM_CHECK_EQ(static_cast<int>(flow.workspace().layers.size()), 2);
  Layer& mask = flow.workspace().layers.at(1);
  mask.style.opacity = 0.3f;
  mask.style.blend = Blend::kMultiply;
  flow.workspace().history.touch("Change mask");
  flow.on_main([&] {
    flow.camera().look_at({700, 200}, 3);
    flow.camera().jump_to_target();
  });
  IM_CHECK(flow.run("view.curtain"));
  save_as(flow, "project.save", "Save project", "work.fovea");
  IM_CHECK(!flow.workspace().history.modified());
  const std::string text = read_text_file(flow.file("work.fovea"));
  IM_CHECK(text.find("\"image\": \"blocks.png\"") != std::string::npos);   // relative
  flow.open(flow.file("waves.png"));
  flow.drop({flow.file("work.fovea")});
  IM_CHECK_STR_EQ(flow.open_name().c_str(), "blocks.png");
  IM_CHECK_EQ(static_cast<int>(flow.workspace().layers.size()), 2);
  const Layer& again = flow.workspace().layers.at(1);
  IM_CHECK_EQ(again.style.opacity, 0.3f);
  IM_CHECK_EQ(static_cast<int>(again.style.blend), static_cast<int>(Blend::kMultiply));
  IM_CHECK(flow.workspace().comparison.curtain.on);
  IM_CHECK_LT(std::abs(flow.camera().zoom() - 3), 1e-6);
  IM_CHECK_LT(std::abs(flow.camera().centre().x - 700), 1e-6);
  IM_CHECK(!flow.workspace().history.can_undo());
}

FLOW(project, spoilt_projects_and_missing_images_are_told) {
  std::ofstream(flow.file("spoilt.fovea")) << "{\"format\":\"fovea-project/1\",";
  flow.drop({flow.file("spoilt.fovea")});
  flow.expect_error("spoilt.fovea");
  std::ofstream(flow.file("lost.fovea")) << R"({"format":"fovea-project/1","image":"nowhere/scene.tif"})";
  flow.drop({flow.file("lost.fovea")});
  flow.expect_error("its image is not there");
  std::ofstream(flow.file("odd.fovea")) << R"({"format":"fovea-project/1","image":"blocks.png","sections":{"layers":7,"view":{"zoom":-1,"centre":[1]},"comparison":[],
      "attention":{"layer":"x"},"segmentation":{"result":"../../etc/passwd","probability_class":99},"masks":[1,"none.png"],"kept_maps":["../x",3],"encoding":{"model":1},"model":null}})";
  flow.drop({flow.file("odd.fovea")});
  flow.expect_error("none.png");
  IM_CHECK_STR_EQ(flow.open_name().c_str(), "blocks.png");
}

FLOW(project, a_folder_that_cannot_be_written_to_is_told) {
  flow.workspace().settings.system_dialogs = false;
  IM_CHECK(flow.run("project.save_as"));
  flow.ui.Yield(2);
  flow.ui.SetRef("//Save project");
  flow.ui.ItemInputValue("##path", "/proc");
  flow.ui.Yield(2);
  flow.ui.ItemInputValue("##name", "work.fovea");
  flow.ui.Yield(2);
  flow.expect_error("cannot write");
}

// A map that the model has to make anew comes when the project is open long since.
FLOW(project, layers_that_come_later_lie_where_they_lay) {
  flow.open(flow.file("blocks.png"));
  LayerList& layers = flow.workspace().layers;
  const auto add = [&](const char* id) {
    flow.on_main([&] {
      auto& heat = layers.add(std::make_unique<HeatLayer>(id, id));
      heat.set_values({.columns = 1, .rows = 1, .values = {1.0f}, .rect_level0 = {0, 0, 100, 100}});
    });
  };
  const auto order = [&] {
    std::string ids;
    for (const auto& layer : layers.all()) ids += layer->id + " ";
    return ids;
  };
  for (const char* id : {"low", "middle", "high"}) add(id);
  const auto saved = flow.workspace().sections.save();
  flow.on_main([&] {
    for (const char* id : {"low", "middle"}) layers.remove(id);
    flow.workspace().sections.load(saved);
  });
  add("middle");
  add("new");
  add("low");
  IM_CHECK_STR_EQ(order().c_str(), "image low middle high new ");
}

FLOW(project, models_near_the_image_move_with_it) {
  IM_CHECK_STR_EQ(model_for_project("/data/models/fine", "/data/scenes").c_str(), "../models/fine");
  IM_CHECK_STR_EQ(model_of_project("../models/fine", "/moved/scenes").c_str(), "/moved/models/fine");
  IM_CHECK_STR_EQ(model_of_project(model_for_project("/data/scenes/fine", "/data/scenes"), "/moved").c_str(), "/moved/fine");
  IM_CHECK_STR_EQ(model_for_project("/opt/models/fine", "/home/someone/data/scenes").c_str(), "/opt/models/fine");
  IM_CHECK_STR_EQ(model_of_project("/opt/models/fine", "/moved").c_str(), "/opt/models/fine");
  IM_CHECK_STR_EQ(model_for_project("aerial", "/data/scenes").c_str(), "aerial");
  IM_CHECK_STR_EQ(model_of_project("aerial", "/data/scenes").c_str(), "aerial");
}

// The name is ready to be typed over; a saved project is among the recent files at once, not when the window closes.
FLOW(project, enter_saves_and_the_project_is_remembered) {
  flow.workspace().settings.system_dialogs = false;
  std::error_code ignored;
  std::filesystem::remove(flow.file("typed.fovea"), ignored);
  flow.open(flow.file("blocks.png"));
  IM_CHECK(flow.run("project.save"));
  flow.ui.Yield(3);
  flow.ui.KeyCharsReplace("typed");
  flow.ui.KeyPress(ImGuiKey_Enter);
  flow.settle();
  IM_CHECK(std::filesystem::exists(flow.file("typed.fovea"), ignored));
  const auto recent = load_settings(user_config_folder() / "viewer.json").recent;
  IM_CHECK(!recent.empty());
  IM_CHECK_STR_EQ(recent.front().filename().c_str(), "typed.fovea");
}

FLOW(project, undo_takes_layers_and_comparisons_back) {
  flow.open(flow.file("blocks.png"));
  write_mask(flow.file("blocks_mask.png"), 1000, 700);
  flow.drop({flow.file("blocks_mask.png")});
  IM_CHECK(flow.run("view.quad"));
  flow.key(ImGuiKey_Delete);
  flow.settle();
  IM_CHECK_EQ(static_cast<int>(flow.workspace().layers.size()), 1);
  flow.key(ImGuiMod_Ctrl | ImGuiKey_Z);
  flow.settle();
  IM_CHECK_EQ(static_cast<int>(flow.workspace().layers.size()), 2);
  flow.key(ImGuiMod_Ctrl | ImGuiKey_Z);
  IM_CHECK_EQ(flow.workspace().comparison.views(), 1);
  flow.key(ImGuiMod_Ctrl | ImGuiKey_Z);
  flow.settle();
  IM_CHECK_EQ(static_cast<int>(flow.workspace().layers.size()), 1);
  flow.key(ImGuiMod_Ctrl | ImGuiMod_Shift | ImGuiKey_Z);
  flow.settle();
  IM_CHECK_EQ(static_cast<int>(flow.workspace().layers.size()), 2);
}

FLOW(project, what_was_not_saved_is_kept) {
  flow.open(flow.file("blocks.png"));
  IM_CHECK(flow.run("view.quad"));
  const auto kept = own_autosave(user_cache_folder() / "projects");
  flow.ui.Yield(90);   // a second and a half of the stage's time
  flow.wait("the autosave", [&] { return std::filesystem::exists(kept); });
  IM_CHECK_STR_EQ(load_autosave(kept).project.image.filename().c_str(), "blocks.png");
  flow.open(flow.file("waves.png"));
  IM_CHECK_EQ(flow.workspace().comparison.views(), 1);
  // While its image is elsewhere it stays kept.
  std::filesystem::rename(flow.file("blocks.png"), flow.file("elsewhere.png"));
  IM_CHECK(flow.run("project.restore"));
  flow.expect_error("its image is not there");
  std::filesystem::rename(flow.file("elsewhere.png"), flow.file("blocks.png"));
  IM_CHECK(flow.run("project.restore"));
  flow.settle();
  IM_CHECK_STR_EQ(flow.open_name().c_str(), "blocks.png");
  IM_CHECK_EQ(flow.workspace().comparison.views(), 4);
}

FLOW(project, all_layers_are_saved_pixel_for_pixel) {
  flow.open(flow.file("blocks.png"));
  write_mask(flow.file("blocks_mask.png"), 1000, 700);
  flow.drop({flow.file("blocks_mask.png")});
  save_as(flow, "export.overlay", "Save all layers", "layers.png");
  flow.wait("the picture", [&] { return std::filesystem::exists(flow.file("layers.png.json")); });
  const ImageU8 saved = open_image(flow.file("layers.png"))->read_rgb({0, 0, 1000, 700});
  // As fovea segment lays its masks over images.
  const ImageU8 image = open_image(flow.file("blocks.png"))->read_rgb({0, 0, 1000, 700});
  const ImageU8 expected = blend_overlay(image, read_index_mask(flow.file("blocks_mask.png")), {{255, 0, 0}, {0, 255, 0}, {0, 0, 255}}, 0.45f, -1);
  IM_CHECK(std::equal(saved.samples().begin(), saved.samples().end(), expected.samples().begin()));
  // And as the canvas shows them, within the rounding of eight bits.
  flow.on_main([&] {
    flow.camera().look_at({500, 350}, 1);
    flow.camera().jump_to_target();
  });
  flow.settle();
  const ImageU8 canvas = flow.canvas();
  int worst = 0;
  for (std::int64_t y = 20; y < 680; y += 37) {
    for (std::int64_t x = 20; x < 980; x += 41) {
      const Point p = flow.camera().to_canvas({static_cast<double>(x) + 0.5, static_cast<double>(y) + 0.5});
      if (p.x < 2 || p.y < 2 || p.x > static_cast<double>(canvas.width()) - 3 || p.y > static_cast<double>(canvas.height()) - 3) continue;
      for (std::int64_t c = 0; c < 3; ++c) worst = std::max(worst, std::abs(canvas.row(static_cast<std::int64_t>(p.y))[3 * static_cast<std::int64_t>(p.x) + c] - saved.row(y)[3 * x + c]));
    }
  }
  IM_CHECK_LT(worst, 3);
}

FLOW(project, the_view_is_saved_without_what_only_a_mouse_needs) {
  save_as(flow, "export.view", "Save view", "view.png");
  flow.wait("the picture", [&] { return std::filesystem::exists(flow.file("view.png.json")); });
  const auto info = open_image(flow.file("view.png"))->info();
  const ImageU8 canvas = flow.canvas();
  IM_CHECK_EQ(info.width, canvas.width());
  IM_CHECK_EQ(info.height, canvas.height());
  const auto sidecar = nlohmann::json::parse(read_text_file(flow.file("view.png.json")));
  IM_CHECK_STR_EQ(sidecar["image_from_here"].get<std::string>().c_str(), "waves.png");
}

FLOW(project, masks_that_do_not_fit_are_told) {
  write_mask(flow.file("waves_mask.png"), 300, 300);
  flow.drop({flow.file("waves_mask.png")});
  flow.expect_error("do not fit the image");
}

FLOW(project, the_folder_shows_its_images_and_page_down_goes_on) {
  flow.open(flow.file("blocks.png"));
  IM_CHECK(flow.run("panel.folder"));
  flow.settle();
  IM_CHECK(flow.run("file.next"));
  flow.settle();
  IM_CHECK_STR_NE(flow.open_name().c_str(), "blocks.png");
  flow.workspace().messages.clear();   // the next file may be a broken one
  IM_CHECK(flow.run("file.previous"));
  flow.settle();
}

FLOW(project, thumbnails_of_more_than_8_bits_use_their_own_range) {
  const MadeThumbnail made = make_thumbnail(flow.file("grey16.tif"), user_cache_folder() / "pyramids");   // samples 0 to 999 from left to right
  IM_CHECK_STR_EQ(made.error.c_str(), "");
  const std::uint8_t* row = made.picture.row(made.picture.height() / 2);
  IM_CHECK_LT(static_cast<int>(row[0]), 3);
  IM_CHECK_LT(std::abs(row[3 * (made.picture.width() / 2)] - 128), 4);
  IM_CHECK_GT(static_cast<int>(row[3 * (made.picture.width() - 1)]), 252);
}

FLOW(project, a_saved_rollout_is_answered_as_the_command_answers_it) {
  flow.key(ImGuiKey_E);
  flow.settle();
  flow.click({163, 117}, ImGuiMod_Ctrl);
  flow.settle();
  save_as(flow, "export.attention", "Save attention map", "rollout.tif");
  flow.wait("the map", [&] { return std::filesystem::exists(flow.file("rollout.tif.json")); });
  flow.settle();
  const auto sidecar = nlohmann::json::parse(read_text_file(flow.file("rollout.tif.json")));
  IM_CHECK_STR_EQ(sidecar["unit"].get<std::string>().c_str(), "share of rollout");
  IM_CHECK(sidecar["commands"][0].contains("shell"));
  IM_CHECK_GT(std::filesystem::file_size(flow.file("rollout.tif")), 0u);   // its bytes: ExportTest.AttentionMapsAreThoseOfFoveaAttend
  flow.click({100, 100}, ImGuiMod_Ctrl);   // and the next one is answered
  flow.settle();
  IM_CHECK(flow.workspace().layers.find("attention") != nullptr);
}

}  // namespace fovea::gui
