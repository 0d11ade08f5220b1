#include "core/segment/small_images.h"

#include <algorithm>
#include <cstring>

#include "core/base/integers.h"
#include "core/segment/device_work.h"
#include "core/segment/memory_plan.h"
#include "core/segment/stage_clock.h"

namespace fovea {
namespace {

constexpr std::int64_t kTokensAPass = 65536;   // a GPU takes hardly longer for these than for a few thousand
constexpr std::int64_t kMostImages = 64;

// out: [height, width, 3] bytes; the last row and column are repeated, as SegmentationModel::preprocess does.
void copy_padded(const ImageU8& image, std::int64_t height, std::int64_t width, std::uint8_t* out) {
  const auto row_bytes = static_cast<std::size_t>(image.width() * 3);
  for (std::int64_t y = 0; y < height; ++y) {
    const std::uint8_t* row = image.row(std::min(y, image.height() - 1));
    std::uint8_t* place = out + y * width * 3;
    std::memcpy(place, row, row_bytes);
    for (std::int64_t x = image.width(); x < width; ++x) std::memcpy(place + x * 3, row + row_bytes - 3, 3);
  }
}

// [batch.images, 3, height, width] uint8 on the model's device; black where there are no more images.
torch::Tensor stacked(std::span<const ImageU8> images, const SmallBatch& batch, const SegmentationModel& model) {
  const std::int64_t patch = model.config().encoder.patch, height = batch.grid[0] * patch, width = batch.grid[1] * patch;
  const auto place = torch::TensorOptions(torch::kUInt8).pinned_memory(!model.device().is_cpu());
  const auto pixels = torch::zeros({batch.images, height, width, 3}, place);
  for (std::size_t i = 0; i < images.size(); ++i) {
    const ImageU8& image = images[i];
    require(divide_up(image.height(), patch) == batch.grid[0] && divide_up(image.width(), patch) == batch.grid[1],
            "label_together: an image of another grid");
    copy_padded(image, height, width, pixels[static_cast<std::int64_t>(i)].mutable_data_ptr<std::uint8_t>());
  }
  return pixels.to(model.device(), /*non_blocking=*/true).permute({0, 3, 1, 2});
}

// samples: [height, width, channels] uint8 on the host, contiguous.
ImageU8 cut(const torch::Tensor& samples, std::int64_t width, std::int64_t height) {
  const std::int64_t channels = samples.size(2), row_bytes = samples.size(1) * channels;
  ImageU8 image(width, height, static_cast<int>(channels));
  for (std::int64_t y = 0; y < height; ++y) {
    std::memcpy(image.row(y), samples.const_data_ptr<std::uint8_t>() + y * row_bytes, static_cast<std::size_t>(width * channels));
  }
  return image;
}

}  // namespace

SmallBatch small_batch_of(const ImageInfo& image, const SegmentationModel& model, const SegmentOptions& options, std::int64_t bytes) {
  const std::int64_t patch = model.config().encoder.patch;
  SmallBatch batch{.grid = {divide_up(image.height, patch), divide_up(image.width, patch)}, .images = 1};
  const SmallImages choice = options.small_images;
  const bool together = choice == SmallImages::kTogether || (choice == SmallImages::kAuto && !model.device().is_cpu());
  if (!together || context_for(model.config(), options.context) != SegmentContext::kImage) return batch;
  const std::int64_t wanted = std::clamp<std::int64_t>(kTokensAPass / batch.tokens(), 1, kMostImages);
  if (wanted == 1) return batch;
  const std::int64_t image_bytes = small_image_bytes(image, model.config(), static_cast<std::int64_t>(c10::elementSize(model.dtype())));
  batch.images = std::clamp<std::int64_t>(bytes / image_bytes, 1, wanted);
  return batch;
}

std::vector<LabelRows> label_together(std::span<const ImageU8> images, const SmallBatch& batch, SegmentationModel& model,
                                      Probabilities probabilities, StageSeconds& seconds) {
  require(!images.empty() && static_cast<std::int64_t>(images.size()) <= batch.images, "label_together: more images than a pass has");
  const torch::InferenceMode no_gradients;
  StageClock clock;
  const auto charge = [&](const char* stage) {
    finish_device_work(model.device());
    clock.charge(stage);
  };
  const auto pixels = model.preprocess(stacked(images, batch, model));
  charge("tokens");
  auto features = model.encoder().forward(pixels, model.decoder()->config().layers);
  const std::int64_t globals = model.config().encoder.global_tokens;
  for (auto& feature : features) feature = feature.narrow(1, globals, feature.size(1) - globals);
  charge("encoder");
  const auto logits = model.decoder()->forward(features, pixels).to(torch::kFloat32);
  features.clear();
  charge("decoder");
  const bool wanted = probabilities == Probabilities::kEveryClass;
  const auto classes = logits.argmax(1).to(torch::kUInt8).unsqueeze(3).cpu();
  const auto shares = wanted ? (logits.softmax(1) * 255 + 0.5f).clamp(0, 255).to(torch::kUInt8).permute({0, 2, 3, 1}).contiguous().cpu() : torch::Tensor();
  std::vector<LabelRows> labels;
  for (std::size_t i = 0; i < images.size(); ++i) {
    const auto index = static_cast<std::int64_t>(i);
    labels.push_back({.classes = cut(classes[index], images[i].width(), images[i].height()), .probabilities = {}});
    if (wanted) labels.back().probabilities = cut(shares[index], images[i].width(), images[i].height());
  }
  charge("labels");
  seconds = clock.seconds();
  return labels;
}

}  // namespace fovea
