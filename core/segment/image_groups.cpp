#include "core/segment/image_groups.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "core/segment/device_work.h"
#include "core/segment/memory_plan.h"

namespace fovea {
namespace {

constexpr std::size_t kMostWaiting = 128;
constexpr double kUsableShare = 0.5;   // of free memory: the rest is for other programs and for what libraries take

std::int64_t bytes_of_a_pass(torch::Device device) {
  const std::int64_t free = device.is_cpu() ? available_host_memory() : device_memory(device).free;
  return static_cast<std::int64_t>(kUsableShare * static_cast<double>(free));
}

// As the model sees it; of one that is finished by its record (batch_report.h).
ImageInfo seen_by_model(const OpenedImage& image) {
  if (!image.kept) return image.for_model->info();
  const nlohmann::json& record = *image.kept;
  const auto scaled = record.find("scaled_to");
  ImageInfo info;
  info.width = scaled == record.end() ? record.at("width") : scaled->at(0);
  info.height = scaled == record.end() ? record.at("height") : scaled->at(1);
  return info;
}

std::int64_t bytes_of(const SmallBatch& batch, const ModelConfig& model) {
  return batch.grid[0] * batch.grid[1] * model.encoder.patch * model.encoder.patch * 3;
}

}  // namespace

ImageGroups::ImageGroups(ImageOpener& opener, const SegmentationModel& model, const SegmentOptions& options, std::int64_t waiting_bytes)
    : opener_(opener), model_(model), options_(options), waiting_bytes_(waiting_bytes), pass_bytes_(bytes_of_a_pass(model.device())) {}

bool ImageGroups::fetch() {
  if (failure_) return false;
  try {
    std::optional<OpenedImage> image = opener_.next();
    if (!image) return false;
    waiting_.push_back(judged(std::move(*image)));
    bytes_ += bytes_of(waiting_.back().batch, model_.config());
    return true;
  } catch (...) {
    failure_ = std::current_exception();
    return false;
  }
}

ImageGroups::Waiting ImageGroups::judged(OpenedImage image) const {
  if (image.failure) return {std::move(image), {}};
  const SmallBatch batch = small_batch_of(seen_by_model(image), model_, options_, pass_bytes_);
  return {std::move(image), batch, batch.images == 1};
}

ImageGroup ImageGroups::next() {
  if (waiting_.empty() && !fetch()) {
    if (failure_) std::rethrow_exception(failure_);
    return {};
  }
  const SmallBatch full = waiting_.front().batch;
  const auto fits = [&](const Waiting& waiting) { return waiting.batch.images > 1 && waiting.batch.grid == full.grid; };
  const auto may_wait = [&] { return !waiting_.back().goes_alone && waiting_.size() < kMostWaiting && bytes_ < waiting_bytes_; };
  std::int64_t found = std::ranges::count_if(waiting_, fits);
  while (full.images > 1 && found < full.images && may_wait() && fetch()) found += fits(waiting_.back());

  ImageGroup group{.images = {}, .batch = full};
  const auto take = [&](std::deque<Waiting>::iterator at) {
    bytes_ -= bytes_of(at->batch, model_.config());
    group.images.push_back({std::move(at->image), std::ssize(group.images)});
    return waiting_.erase(at);
  };
  for (auto at = take(waiting_.begin()); at != waiting_.end() && std::ssize(group.images) < full.images;) {
    at = fits(*at) ? take(at) : std::next(at);
  }
  group.batch.images = std::min<std::int64_t>(full.images, static_cast<std::int64_t>(std::bit_ceil(group.images.size())));
  return group;
}

}  // namespace fovea
