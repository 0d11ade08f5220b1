// Folders of image files, through core/image.
#include <gtest/gtest.h>

#include <cstring>

#include "core/image/writers.h"
#include "core/train/training_set.h"
#include "tests/train/training_samples.h"

namespace fovea {
namespace {

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
