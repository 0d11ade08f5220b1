#include "core/train/augmentation.h"

#include <algorithm>
#include <cmath>

namespace fovea {
namespace {

struct Extent { std::int64_t window_begin, window_length, canvas_begin, canvas_length; };

// One axis of a crop: a window of crop / scale pixels inside [begin, begin + length), or all of it where it is shorter.
Extent plan_axis(RandomStream& random, std::int64_t begin, std::int64_t length, std::int64_t crop, double scale) {
  const auto side = std::max<std::int64_t>(std::llround(static_cast<double>(crop) / scale), 1);
  if (side <= length) return {begin + random.below(length - side + 1), side, 0, crop};
  const auto filled = std::clamp<std::int64_t>(std::llround(static_cast<double>(length) * scale), 1, crop);
  return {begin, length, random.below(crop - filled + 1), filled};
}

ColourShift plan_colour(RandomStream& random, const AugmentationConfig& config) {
  const auto around = [&](double centre, double range) { return random.uniform(centre - range, centre + range); };
  ColourShift shift;
  shift.contrast = around(1, config.contrast);
  shift.brightness = around(0, config.brightness);
  shift.saturation = around(1, config.saturation);
  for (double& gain : shift.channel_gain) gain = around(1, config.channel_gain);
  shift.swap_red_blue = random.uniform() < config.swap_red_blue;
  return shift;
}

torch::Tensor turn(torch::Tensor x, const CropPlan& plan) {
  if (plan.flip) x = x.flip({-1});
  if (plan.quarter_turns != 0) x = torch::rot90(x, plan.quarter_turns, {-2, -1});
  return x;
}

// {left, right, top, bottom} of the crop around the canvas.
std::vector<std::int64_t> margins(const Rect& canvas, std::int64_t crop) {
  return {canvas.x, crop - canvas.x - canvas.width, canvas.y, crop - canvas.y - canvas.height};
}

// Window of [H, W, ...] on the device. narrow() is a view; only the window is copied.
torch::Tensor window_of(const torch::Tensor& pixels, const Rect& window, torch::Device device) {
  return pixels.narrow(0, window.y, window.height).narrow(1, window.x, window.width).contiguous().to(device, true);
}

torch::Tensor cut_image(const LabelledImage& image, const CropPlan& plan, const CropOptions& options) {
  auto x = window_of(image.image, plan.window, options.device).permute({2, 0, 1}).unsqueeze(0).to(torch::kFloat32).contiguous();
  x = at::_upsample_bilinear2d_aa(x, {plan.canvas.height, plan.canvas.width}, false, std::nullopt, std::nullopt);
  if (plan.canvas.width != options.crop || plan.canvas.height != options.crop) {
    x = at::replication_pad2d(x, margins(plan.canvas, options.crop));
  }
  if (plan.colour.swap_red_blue) x = x.flip({1});
  return turn(x, plan);
}

torch::Tensor cut_mask(const LabelledImage& image, const CropPlan& plan, const CropOptions& options) {
  auto x = window_of(image.mask, plan.window, options.device).unsqueeze(0).unsqueeze(0);
  x = at::_upsample_nearest_exact2d(x, {plan.canvas.height, plan.canvas.width}, std::nullopt, std::nullopt);
  if (plan.canvas.width != options.crop || plan.canvas.height != options.crop) {
    x = at::constant_pad_nd(x, margins(plan.canvas, options.crop), options.ignore_index);
  }
  return turn(x, plan).squeeze(1);
}

// All crops at once. images [B, 3, H, W].
torch::Tensor shift_colours(const torch::Tensor& images, const std::vector<CropPlan>& plans, torch::Device device) {
  constexpr std::int64_t kNumbers = 9;
  constexpr std::array<float, 3> kLuma{0.299f, 0.587f, 0.114f};   // ITU-R BT.601
  auto table = torch::empty({static_cast<std::int64_t>(plans.size()), kNumbers}, torch::kFloat32);
  auto* row = table.data_ptr<float>();
  for (const auto& plan : plans) {
    const auto& colour = plan.colour;
    for (const double number : {colour.contrast, colour.brightness, colour.saturation, colour.channel_gain[0], colour.channel_gain[1],
                                colour.channel_gain[2]}) *row++ = static_cast<float>(number);
    row = std::copy(kLuma.begin(), kLuma.end(), row);
  }
  // One copy from pinned memory: any other would wait for all that the device still has to do.
  if (device.is_cuda()) table = table.pin_memory();
  table = table.to(device, /*non_blocking=*/true).view({-1, kNumbers, 1, 1});
  const auto column = [&](std::int64_t first, std::int64_t count = 1) { return table.narrow(1, first, count); };

  const auto mean = images.mean({1, 2, 3}, true);
  auto x = (images - mean) * column(0) + mean + column(1) * 255.0;
  const auto grey = (x * column(6, 3)).sum(1, true);
  x = grey + (x - grey) * column(2);
  return (x * column(3, 3)).clamp(0, 255);
}

}  // namespace

CropPlan plan_crop(RandomStream& random, std::size_t image, const Rect& region, std::int64_t crop, const AugmentationConfig& config) {
  const double scale = std::exp(random.uniform(std::log(config.scale[0]), std::log(config.scale[1])));
  const Extent x = plan_axis(random, region.x, region.width, crop, scale);
  const Extent y = plan_axis(random, region.y, region.height, crop, scale);
  CropPlan plan;
  plan.image = image;
  plan.window = {x.window_begin, y.window_begin, x.window_length, y.window_length};
  plan.canvas = {x.canvas_begin, y.canvas_begin, x.canvas_length, y.canvas_length};
  plan.flip = config.flips && random.below(2) == 1;
  plan.quarter_turns = config.quarter_turns ? static_cast<int>(random.below(4)) : 0;
  plan.colour = plan_colour(random, config);
  return plan;
}

Batch cut_batch(const TrainingSet& set, const std::vector<CropPlan>& plans, const CropOptions& options) {
  std::vector<torch::Tensor> images, masks;
  for (const auto& plan : plans) {
    images.push_back(cut_image(set.images()[plan.image], plan, options));
    masks.push_back(cut_mask(set.images()[plan.image], plan, options));
  }
  return {shift_colours(torch::cat(images), plans, options.device), torch::cat(masks).to(torch::kInt64)};
}

}  // namespace fovea
