#include "core/train/training_set.h"

#include <gtest/gtest.h>

#include "tests/train/training_samples.h"

namespace fovea {
namespace {

class PackedSet : public testing::Test {
 protected:
  std::filesystem::path path() const { return folder_.path() / "set.safetensors"; }
  TrainingSet read(const DataSource& source, std::int64_t classes = 2) const {
    NoProgress progress;
    return TrainingSet({source}, {classes, 255}, progress, std::stop_token());
  }
  std::string refusal(const DataSource& source, std::int64_t classes = 2) const {
    return test::error_of([&] { read(source, classes); });
  }
  std::string refusal_of(const std::map<std::string, torch::Tensor>& tensors) const {
    write_tensors(path(), tensors);
    return refusal({path(), {}, {}});
  }

  test::TemporaryFolder folder_;
};

TEST_F(PackedSet, IsReadAsItWasWritten) {
  const auto a = test::disc_scene(48, 64, 24), b = test::disc_scene(40, 56, 34);
  test::write_packed(path(), {{"a", a}, {"b", b}});
  const auto set = read({path(), {}, {{"a", {0.25, 0, 0.75, 0.5}}}});
  ASSERT_EQ(set.images().size(), 2u);
  for (const auto& image : set.images()) {
    const auto& scene = image.name == "a" ? a : b;
    EXPECT_TRUE(torch::equal(image.image, scene.image));
    EXPECT_TRUE(torch::equal(image.mask, scene.mask));
    EXPECT_EQ(image.region, image.name == "a" ? (Rect{16, 0, 32, 24}) : (Rect{0, 0, 56, 40}));
  }
  const auto part = a.mask.narrow(0, 0, 24).narrow(1, 16, 32);
  for (std::int64_t c = 0; c < 2; ++c) {
    const auto expected = part.eq(c).sum().item<std::int64_t>() + b.mask.eq(c).sum().item<std::int64_t>();
    EXPECT_EQ(set.class_pixels()[static_cast<std::size_t>(c)], expected);
  }
  EXPECT_EQ(set.size_bytes(), (48 * 64 + 40 * 56) * 4);
}

TEST_F(PackedSet, ImagesAreDrawnByTheAreaOfTheirRegions) {
  test::write_packed(path(), {{"a", test::disc_scene(30, 40, 20)}, {"b", test::disc_scene(30, 40, 20)}});
  const auto set = read({path(), {}, {{"b", {0, 0, 1, 1.0 / 3}}}});
  std::vector<double> share(2);
  for (int i = 0; i < 1000; ++i) share[set.pick((i + 0.5) / 1000)] += 1e-3;
  for (std::size_t i = 0; i < 2; ++i) EXPECT_NEAR(share[i], set.images()[i].name == "a" ? 0.75 : 0.25, 0.0011);
}

TEST_F(PackedSet, AWeightMultipliesASourcesShare) {
  test::write_packed(path(), {{"a", test::disc_scene(30, 40, 20)}, {"b", test::disc_scene(30, 40, 20)}});
  NoProgress progress;
  const TrainingSet set({{.path = path(), .only = {"a"}}, {.path = path(), .only = {"b"}, .weight = 3}}, {2, 255}, progress, {});
  int of_b = 0;
  for (int i = 0; i < 1000; ++i) of_b += set.images()[set.pick((i + 0.5) / 1000)].name == "b";
  EXPECT_NEAR(of_b, 750, 1);
}

TEST_F(PackedSet, OnlyTakesTheNamedImages) {
  test::write_packed(path(), {{"a", test::disc_scene(30, 40, 20)}, {"b", test::disc_scene(30, 40, 20)}});
  EXPECT_EQ(read({path(), {"b"}, {}}).images().at(0).name, "b");
  EXPECT_EQ(refusal({path(), {"c"}, {}}), path().string() + ": no image named c");
  EXPECT_EQ(refusal({path(), {}, {{"c", {}}}}), path().string() + ": no image named c");
}

TEST_F(PackedSet, FaultsAreNamed) {
  const auto scene = test::disc_scene(30, 40, 20);
  const std::string file = path().string();
  test::write_packed(path(), {{"a", scene}});
  EXPECT_EQ(refusal({path(), {}, {}}, 1), (path() / "a.mask").string() + ": value 1, model has 1 classes");
  EXPECT_EQ(refusal_of({{"a.image", scene.image}}), file + ": a.image: no a.mask beside it");
  EXPECT_EQ(refusal_of({{"a.mask", scene.mask}}), file + ": a.mask: no a.image beside it");
  EXPECT_EQ(refusal_of({{"a", scene.mask}}), file + ": a: must be named X.image or X.mask");
  EXPECT_EQ(refusal_of({{"a.image", scene.mask}, {"a.mask", scene.mask}}), file + ": a.image: must be U8 of shape [height, width, 3]");
  EXPECT_EQ(refusal_of({{"a.image", scene.image}, {"a.mask", scene.mask.to(torch::kInt32)}}),
            file + ": a.mask: must be U8 of shape [height, width]");
  EXPECT_EQ(refusal_of({{"a.image", scene.image}, {"a.mask", scene.mask.narrow(0, 0, 29)}}), file + ": a.mask: 40x29, its image 40x30");
  EXPECT_THROW(read({folder_.path() / "absent.safetensors", {}, {}}), Error);
}

TEST(RegionPixels, RoundsToWholePixelsAndIsNeverEmpty) {
  EXPECT_EQ(region_pixels({0, 0, 2.0 / 3, 1}, 300, 50), (Rect{0, 0, 200, 50}));
  EXPECT_EQ(region_pixels({2.0 / 3, 0, 1, 1}, 300, 50), (Rect{200, 0, 100, 50}));
  EXPECT_EQ(region_pixels({0.999, 0.999, 1, 1}, 10, 10), (Rect{9, 9, 1, 1}));
}

}  // namespace
}  // namespace fovea
