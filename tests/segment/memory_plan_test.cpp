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
  EXPECT_TRUE(large.keep_pixels);
  const auto small = plan_whole_image(image_of(32'768), aerial_like(), {.available = {.host = 64 * kGigabyte, .device_free = 12 * kGigabyte}, .element_bytes = 2});
  EXPECT_EQ(small.stream_home, MemoryHome::kHost);
  EXPECT_LE(small.device_bytes, 12 * kGigabyte);
  EXPECT_FALSE(small.keep_pixels) << "the stream has no room there either";
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
    EXPECT_NE(std::string(error.what()).find("900 MB are available"), std::string::npos) << error.what();
  }
}

TEST(MemoryPlan, OfSmallImagesGrowsWithThem) {
  const std::int64_t small = small_image_bytes(image_of(256), aerial_like(), 2), large = small_image_bytes(image_of(1024), aerial_like(), 2);
  EXPECT_EQ(large, 16 * small);
  EXPECT_LT(small_image_bytes(image_of(512), aerial_like(), 2) * 16, 4 * kGigabyte);
  EXPECT_GT(small_image_bytes(image_of(1024), aerial_like(), 4), large);
}

std::string refusal(const ImageInfo& image, const MemoryPlanRequest& request) {
  try {
    plan_whole_image(image, aerial_like(), request);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    return error.what();
  }
  return "no refusal";
}

TEST(MemoryPlan, TakesShorterBandsUntilOneRowDoesNotFit) {
  const auto model = aerial_like();
  std::int64_t rows_before = 1, refused = 0;
  for (std::int64_t host = 20'000'000; host <= kGigabyte; host += 20'000'000) {
    const MemoryPlanRequest request{.available = {.host = host}, .element_bytes = 4};
    if (refusal(image_of(1'000), request) != "no refusal") {
      refused = host;
      continue;
    }
    const auto plan = plan_whole_image(image_of(1'000), model, request);
    EXPECT_LE(plan.host_bytes, host);
    EXPECT_GE(plan.decoder_rows, plan.stream_element_bytes == 4 ? rows_before : 1) << host;
    if (plan.stream_element_bytes == 4) rows_before = plan.decoder_rows;
  }
  EXPECT_LT(refused, 250'000'000);   // an image whose stream takes 32 MB
  EXPECT_EQ(rows_before, 125);
}

TEST(MemoryPlan, AWishForShortBandsRefusesNothing) {
  const MemoryPlanRequest request{.available = {.host = 8 * kGigabyte}, .element_bytes = 4, .band_memory_bytes = 1};
  const auto plan = plan_whole_image(image_of(1'000), aerial_like(), request);
  EXPECT_EQ(plan.encoder_rows, 1);
  EXPECT_EQ(plan.decoder_rows, 1);
  EXPECT_GT(plan.band_bytes, 1);
}

TEST(MemoryPlan, NamesTheMemoryThatDoesNotSuffice) {
  const std::string device = refusal(image_of(32'768), {.available = {.host = 120 * kGigabyte, .device_free = kGigabyte}, .element_bytes = 2});
  EXPECT_NE(device.find("of device memory, but only 900 MB are available"), std::string::npos) << device;
  const std::string host = refusal(image_of(32'768), {.available = {.host = 2 * kGigabyte, .device_free = 12 * kGigabyte}, .element_bytes = 2});
  EXPECT_NE(host.find("of host memory, but only 1.8 GB are available"), std::string::npos) << host;
  EXPECT_EQ(host.find("bfloat16"), std::string::npos) << host;   // which it is already
  const std::string limited = refusal(image_of(1'000), {.available = {.host = -200'000'000, .host_in_use = 250'000'000}, .element_bytes = 4});
  EXPECT_NE(limited.find("of host memory besides the 250 MB in use, but only 0 MB are available"), std::string::npos) << limited;
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
