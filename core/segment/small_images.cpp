#include "core/segment/small_images.h"

#include <algorithm>
#include <cstring>

#include "core/base/integers.h"
#include "core/image/copy_rows.h"
#include "core/segment/device_work.h"
#include "core/segment/memory_plan.h"
#include "core/segment/stage_clock.h"

namespace fovea {
namespace {

constexpr std::int64_t kTokensAPass = 65536;   // a GPU takes hardly longer for these than for a few thousand
constexpr std::int64_t kMostImages = 64;

// The rows of an image that lie at the beginning of rows of a larger one; the last pixel of each and the last row are repeated, as
// SegmentationModel::preprocess does.
void repeat_edges(std::uint8_t* padded, const Rect& image, const Rect& whole) {
  const std::int64_t stride = whole.width * 3;
  for (std::int64_t y = 0; y < image.height; ++y) {
    std::uint8_t* end = padded + y * stride + image.width * 3;
    for (std::int64_t x = image.width; x < whole.width; ++x, end += 3) std::memcpy(end, end - 3, 3);
  }
  const std::uint8_t* last = padded + (image.height - 1) * stride;
  for (std::int64_t y = image.height; y < whole.height; ++y) std::memcpy(padded + y * stride, last, static_cast<std::size_t>(stride));
}

// samples: [height, width, channels] uint8 on the host, contiguous.
ImageU8 cut(const torch::Tensor& samples, std::int64_t width, std::int64_t height) {
  const std::int64_t channels = samples.size(2);
  ImageU8 image(width, height, static_cast<int>(channels));
  copy_rows(samples.const_data_ptr<std::uint8_t>(), samples.size(1) * channels, image.samples().data(), width * channels, width * channels,
            height);
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

SmallPass::SmallPass(const SmallBatch& batch, SegmentationModel& model) : batch_(batch), model_(model) {
  const std::int64_t patch = model.config().encoder.patch;
  const auto memory = torch::TensorOptions(torch::kUInt8).pinned_memory(!model.device().is_cpu());
  pixels_ = torch::empty({batch.images, batch.grid[0] * patch, batch.grid[1] * patch, 3}, memory);
}

void SmallPass::add(ImageSource& source, std::int64_t place) {
  const std::int64_t patch = model_.config().encoder.patch;
  const Rect image{0, 0, source.info().width, source.info().height}, whole{0, 0, pixels_.size(2), pixels_.size(1)};
  require(divide_up(image.height, patch) == batch_.grid[0] && divide_up(image.width, patch) == batch_.grid[1], "SmallPass: another grid");
  require(place >= 0 && place < batch_.images && is_free(place), "SmallPass: no such place");
  std::uint8_t* out = pixels_.mutable_data_ptr<std::uint8_t>() + place * whole.area() * 3;
  if (image.width == whole.width) {
    source.read_rgb_into(image, out);
  } else {
    const ImageU8 rgb = source.read_rgb(image);
    copy_rows(rgb.samples().data(), image.width * 3, out, whole.width * 3, image.width * 3, image.height);
  }
  repeat_edges(out, image, whole);
  members_.push_back({place, image.width, image.height});
}

bool SmallPass::is_free(std::int64_t place) const { return std::ranges::find(members_, place, &Member::place) == members_.end(); }

// [batch.images, 3, height, width] uint8; black where no image has its place.
torch::Tensor SmallPass::on_device() {
  for (std::int64_t place = 0; place < batch_.images; ++place) {
    if (is_free(place)) pixels_[place].zero_();
  }
  return pixels_.to(model_.device(), /*non_blocking=*/true).permute({0, 3, 1, 2});
}

std::vector<LabelRows> SmallPass::label(Probabilities probabilities, StageSeconds& seconds) {
  const torch::InferenceMode no_gradients;
  StageClock clock;
  const auto charge = [&](const char* stage) {
    finish_device_work(model_.device());
    clock.charge(stage);
  };
  const auto pixels = model_.preprocess(on_device());
  charge("tokens");
  auto features = model_.encoder().forward(pixels, model_.decoder()->config().layers);
  const std::int64_t globals = model_.config().encoder.global_tokens;
  for (auto& feature : features) feature = feature.narrow(1, globals, feature.size(1) - globals);
  charge("encoder");
  const auto logits = model_.decoder()->forward(features, pixels).to(torch::kFloat32);
  features.clear();
  charge("decoder");
  const auto classes = logits.argmax(1).to(torch::kUInt8).unsqueeze(3).cpu();
  torch::Tensor shares;
  if (probabilities == Probabilities::kEveryClass) {
    shares = (logits.softmax(1) * 255 + 0.5f).clamp(0, 255).to(torch::kUInt8).permute({0, 2, 3, 1}).contiguous().cpu();
  }
  std::vector<LabelRows> labels;
  for (const Member& member : members_) {
    labels.push_back({.classes = cut(classes[member.place], member.width, member.height), .probabilities = {}});
    if (shares.defined()) labels.back().probabilities = cut(shares[member.place], member.width, member.height);
  }
  charge("labels");
  seconds = clock.seconds();
  return labels;
}

}  // namespace fovea
