// Folders of image files, through core/image.
#include <gtest/gtest.h>

#include <cstring>

#include "core/image/writers.h"
#include "core/train/train.h"
#include "core/train/training_set.h"
#include "tests/train/training_samples.h"

namespace fovea {
namespace {

constexpr const char* kUtm =
    R"(PROJCS["UTM 40N",GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563]],PRIMEM["Greenwich",0],)"
    R"(UNIT["degree",0.0174532925199433]],PROJECTION["Transverse_Mercator"],PARAMETER["latitude_of_origin",0],)"
    R"(PARAMETER["central_meridian",57],PARAMETER["scale_factor",0.9996],PARAMETER["false_easting",500000],)"
    R"(PARAMETER["false_northing",0],UNIT["metre",1]])";

ImageU8 to_image(const torch::Tensor& pixels) {
  const int channels = pixels.dim() == 3 ? static_cast<int>(pixels.size(2)) : 1;
  ImageU8 image(pixels.size(1), pixels.size(0), channels);
  std::memcpy(image.samples().data(), pixels.data_ptr<std::uint8_t>(), image.samples().size());
  return image;
}

class FolderSet : public testing::Test {
 protected:
  void write(const std::string& name, const test::Scene& scene) const {
    write_png(folder_.path() / (name + ".png"), to_image(scene.image));
    write_png(folder_.path() / (name + "_mask.png"), to_image(scene.mask));
  }
  TrainingSet read(const DataSource& source) const {
    NoProgress progress;
    return TrainingSet({source}, {2, 255}, progress, std::stop_token());
  }
  std::string refusal() const { return test::error_of([&] { read({folder_.path(), {}, {}}); }); }
  std::string file(const std::string& name) const { return (folder_.path() / name).string(); }

  test::TemporaryFolder folder_;
};

TEST_F(FolderSet, IsReadWithItsRegions) {
  const auto a = test::disc_scene(48, 64, 24), b = test::disc_scene(40, 56, 34);
  write("b", b);
  write("a", a);
  const auto set = read({folder_.path(), {}, {{"b", {0.5, 0, 1, 1}}}});
  ASSERT_EQ(set.images().size(), 2u);
  EXPECT_EQ(set.images()[0].name, "a");
  EXPECT_TRUE(torch::equal(set.images()[0].image, a.image));
  EXPECT_TRUE(torch::equal(set.images()[1].mask, b.mask));
  EXPECT_EQ(set.images()[1].region, (Rect{28, 0, 28, 40}));
}

TEST_F(FolderSet, TellsThePixelSizesOfItsImages) {
  const auto write_placed = [&](const std::string& name, double metres) {
    const auto scene = test::disc_scene(48, 64, 24);
    GeoReference place{.geotransform = {{500000, metres, 0, 2770000, 0, -metres}}, .projection_wkt = kUtm};
    const auto path = folder_.path() / (name + ".tif");
    const auto writer = create_rgb_tiff_writer({.path = path, .width = 64, .height = 48, .georeference = place});
    writer->append(to_image(scene.image));
    writer->finish();
    write_png(folder_.path() / (name + "_mask.png"), to_image(scene.mask));
  };
  write_placed("a", 0.5);
  write_placed("b", 0.2);
  const auto sizes = read({folder_.path(), {}, {}}).pixel_sizes();
  ASSERT_TRUE(sizes);
  EXPECT_NEAR(sizes->smallest, 0.2, 1e-9);
  EXPECT_NEAR(sizes->largest, 0.5, 1e-9);
  write("c", test::disc_scene(48, 64, 24));
  EXPECT_FALSE(read({folder_.path(), {}, {}}).pixel_sizes()) << "one does not tell";

  // What is trained on them says so.
  auto recipe = test::tiny_recipe(folder_.path());
  recipe.train = {{folder_.path(), {"a", "b"}, {}}};
  recipe.steps = 1;
  recipe.augmentation.scale = {0.5, 2};
  NoProgress progress;
  const auto trained = read_model_config(run_training(recipe, TrainingStart::kCheckpoint, progress, {}).model);
  ASSERT_TRUE(trained.preprocessing.ground_sampling_distance_m);
  EXPECT_NEAR(trained.preprocessing.ground_sampling_distance_m->smallest, 0.1, 1e-9);
  EXPECT_NEAR(trained.preprocessing.ground_sampling_distance_m->largest, 1.0, 1e-9) << "half of the size: pixels twice as large";
}

TEST_F(FolderSet, FaultsAreNamed) {
  EXPECT_EQ(refusal(), folder_.path().string() + ": no labelled images (X.jpg, X.png or X.tif with X_mask.png)");
  auto scene = test::disc_scene(48, 64, 24);
  write_png(folder_.path() / "a.png", to_image(scene.image));
  EXPECT_EQ(refusal(), file("a.png") + ": no mask a_mask.png beside it");
  write_png(folder_.path() / "a_mask.png", to_image(scene.mask.narrow(0, 0, 40).contiguous()));
  EXPECT_EQ(refusal(), file("a_mask.png") + ": 64x40, its image 64x48");
  scene.mask[7][9] = 7;
  write("a", scene);
  EXPECT_EQ(refusal(), file("a_mask.png") + ": value 7, model has 2 classes");
  EXPECT_EQ(test::error_of([&] { read({folder_.path() / "absent", {}, {}}); }), file("absent") + ": No such file or directory");
}

TEST_F(FolderSet, TwoImagesCannotShareAMask) {
  const auto scene = test::disc_scene(48, 64, 24);
  write("a", scene);
  write_jpeg(folder_.path() / "a.jpg", to_image(scene.image));
  EXPECT_EQ(refusal(), file("a.png") + ": shares its mask with a.jpg");
}

}  // namespace
}  // namespace fovea
