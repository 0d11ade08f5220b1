#include "core/segment/memory_plan.h"

#include <gtest/gtest.h>

namespace fovea {
namespace {

constexpr std::int64_t kGigabyte = 1'000'000'000;

ModelConfig aerial_like() {
  ModelConfig model;
  model.encoder.patch = 8;
  model.encoder.attention.assign(12, LayerAttention{});
  model.decoder = DecoderConfig{};
  model.classes.resize(5);
  return model;
}

ImageInfo image_of(std::int64_t side) {
  ImageInfo image;
  image.width = image.height = side;
  image.windowed = true;
  return image;
}

TEST(MemoryPlan, OfAHundredMegapixelsFitsEightGigabytes) {
  const auto plan = plan_whole_image(image_of(10'000), aerial_like(), {.available = {.host = 8 * kGigabyte}, .element_bytes = 4});
  EXPECT_EQ(plan.stream_bytes, std::int64_t{1250} * 1250 * (384 + 128) * 4);
  EXPECT_EQ(plan.stream_home, MemoryHome::kHost);
  EXPECT_EQ(plan.stream_element_bytes, 4);
  EXPECT_LE(plan.host_bytes, 8 * kGigabyte);
  EXPECT_GE(plan.encoder_rows, 1);
}

TEST(MemoryPlan, KeepsTheStreamOnTheDeviceIfItFitsElseOnTheHost) {
  const auto large = plan_whole_image(image_of(32'768), aerial_like(), {.available = {.host = 64 * kGigabyte, .device_free = 80 * kGigabyte}, .element_bytes = 2});
  EXPECT_EQ(large.stream_home, MemoryHome::kDevice);
  EXPECT_LE(large.host_bytes, 4 * kGigabyte);
  EXPECT_LE(large.device_bytes, 60 * kGigabyte);
  const auto small = plan_whole_image(image_of(32'768), aerial_like(), {.available = {.host = 64 * kGigabyte, .device_free = 12 * kGigabyte}, .element_bytes = 2});
  EXPECT_EQ(small.stream_home, MemoryHome::kHost);
  EXPECT_LE(small.device_bytes, 12 * kGigabyte);
}

TEST(MemoryPlan, HalvesTheStreamBeforeItRefuses) {
  const auto model = aerial_like();
  const auto plan = plan_whole_image(image_of(10'000), model, {.available = {.host = 3 * kGigabyte}, .element_bytes = 4});
  EXPECT_EQ(plan.stream_element_bytes, 2);
  try {
    plan_whole_image(image_of(10'000), model, {.available = {.host = kGigabyte}, .element_bytes = 4});
    FAIL() << "a plan beyond the memory";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    EXPECT_NE(std::string(error.what()).find("0.9 GB available"), std::string::npos) << error.what();
  }
}

TEST(MemoryPlan, CountsAnImageThatOnlyDecodesAsAWhole) {
  ImageInfo image = image_of(10'000);
  image.windowed = false;
  const auto plan = plan_whole_image(image, aerial_like(), {.available = {.host = 16 * kGigabyte}, .element_bytes = 4});
  EXPECT_EQ(plan.image_bytes, 300'000'000);
}

TEST(HostMemory, IsKnown) {
  EXPECT_GT(available_host_memory(), 0);
  EXPECT_GT(resident_memory(), 0);
}

}  // namespace
}  // namespace fovea
