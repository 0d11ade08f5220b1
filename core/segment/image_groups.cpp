#include "core/segment/image_groups.h"

#include <algorithm>

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

bool is_for_the_model(const OpenedImage& image) { return !image.kept && !image.failure; }

std::int64_t bytes_of(const OpenedImage& image) {
  if (!is_for_the_model(image)) return 0;
  const ImageInfo& info = image.source->info();
  return info.width * info.height * 3;
}

}  // namespace

ImageGroups::ImageGroups(ImageOpener& opener, const SegmentationModel& model, const SegmentOptions& options, std::int64_t waiting_bytes)
    : opener_(opener), model_(model), options_(options), waiting_bytes_(waiting_bytes), pass_bytes_(bytes_of_a_pass(model.device())) {}

bool ImageGroups::fetch() {
  if (failure_) return false;
  try {
    std::optional<OpenedImage> image = opener_.next();
    if (!image) return false;
    const bool for_the_model = is_for_the_model(*image);
    const SmallBatch batch = for_the_model ? small_batch_of(image->for_model->info(), model_, options_, pass_bytes_) : SmallBatch{};
    bytes_ += bytes_of(*image);
    waiting_.push_back({std::move(*image), batch, for_the_model && batch.images == 1});
    return true;
  } catch (...) {
    failure_ = std::current_exception();
    return false;
  }
}

ImageGroup ImageGroups::next() {
  if (waiting_.empty() && !fetch()) {
    if (failure_) std::rethrow_exception(failure_);
    return {};
  }
  const SmallBatch batch = waiting_.front().batch;
  const auto fits = [&](const Waiting& waiting) { return waiting.batch.grid == batch.grid; };
  std::int64_t found = std::ranges::count_if(waiting_, fits);
  const auto may_fetch = [&] { return !waiting_.back().goes_alone && waiting_.size() < kMostWaiting && bytes_ < waiting_bytes_; };
  while (found < batch.images && may_fetch() && fetch()) found += fits(waiting_.back());
  ImageGroup group{.images = {}, .batch = batch};
  for (auto it = waiting_.begin(); it != waiting_.end() && static_cast<std::int64_t>(group.images.size()) < batch.images;) {
    if (!fits(*it)) {
      ++it;
      continue;
    }
    bytes_ -= bytes_of(it->image);
    group.images.push_back(std::move(it->image));
    it = waiting_.erase(it);
  }
  return group;
}

}  // namespace fovea
