#include "core/segment/image_opener.h"

#include <algorithm>
#include <chrono>

#include "core/base/clock.h"
#include "core/image/image_views.h"
#include "core/image/pixel_size.h"
#include "core/image/shared_source.h"
#include "core/segment/parallel_source.h"

namespace fovea {
namespace {

constexpr std::int64_t kImagesWaiting = 64;           // at most, however small: more would only take memory

}  // namespace

ImageOpener::ImageOpener(const BatchOptions& options, const ModelConfig& model, const AheadLimits& limits)
    : options_(options),
      model_(model),
      limits_(limits),
      least_weight_(limits.waiting_bytes / kImagesWaiting),
      queue_(limits.waiting_bytes) {
  const std::size_t threads = std::min<std::size_t>(usual_readers(), std::max<std::size_t>(options.files.size(), 1));
  for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this](const std::stop_token& stop) { open_next_images(stop); });
}

ImageOpener::~ImageOpener() {
  for (std::jthread& thread : threads_) thread.request_stop();
  {
    const std::scoped_lock lock(mutex_);
    closed_ = true;
    turn_changed_.notify_all();
  }
  queue_.close();
}

std::optional<OpenedImage> ImageOpener::next() {
  std::optional<OpenedImage> image = queue_.pop();
  if (!image && failure_) std::rethrow_exception(failure_);
  return image;
}

// An image is handed over before it is decoded: the model begins with the rows that are there.
void ImageOpener::open_next_images(const std::stop_token& stop) {
  std::size_t index = 0;
  while (!stop.stop_requested() && (index = next_index_++) < options_.files.size()) {
    const auto start = std::chrono::steady_clock::now();
    std::shared_ptr<StreamedImage> decode_now;
    try {
      OpenedImage image = open(index);
      busy_seconds_ += seconds_since(start);
      if (!image.failure && image.streamed && decodes_ahead(image.streamed->info())) decode_now = image.streamed;
      if (!hand_over(index, std::move(image))) return;
    } catch (...) {
      return give_up(index);
    }
    if (!decode_now) continue;
    decode_now->decode(stop);
    busy_seconds_ += decode_now->decode_seconds();
  }
  const std::scoped_lock lock(mutex_);
  if (turn_ == options_.files.size()) queue_.close();
}

bool ImageOpener::wait_for_turn(std::size_t index) {
  std::unique_lock lock(mutex_);
  turn_changed_.wait(lock, [&] { return closed_ || turn_ == index; });
  return !closed_;
}

// False: nobody wants more.
bool ImageOpener::hand_over(std::size_t index, OpenedImage image) {
  if (!wait_for_turn(index)) return false;
  const std::int64_t weight = weight_of(image);
  const bool taken = queue_.push(std::move(image), weight);
  const std::scoped_lock lock(mutex_);
  ++turn_;
  closed_ = closed_ || !taken;
  turn_changed_.notify_all();
  return taken;
}

// Called while the exception that ends the run is handled: images before this one are still handed over.
void ImageOpener::give_up(std::size_t index) {
  const std::exception_ptr failure = std::current_exception();
  if (!wait_for_turn(index)) return;
  const std::scoped_lock lock(mutex_);
  failure_ = failure;
  closed_ = true;
  turn_changed_.notify_all();
  queue_.close();
}

OpenedImage ImageOpener::open(std::size_t index) const {
  OpenedImage image;
  image.index = static_cast<std::int64_t>(index);
  image.subject = {options_.files[index], options_.folder / options_.names[index]};
  try {
    image.key = journal_key(image.subject.image, options_.model_hash, options_.options_hash);
    if (options_.journal != nullptr && options_.resume == Resume::kResume) image.kept = options_.journal->verified(image.key);
    if (!image.kept) prepare(image);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kUsage) throw;
    image.failure = std::current_exception();
  } catch (...) {
    image.failure = std::current_exception();
  }
  return image;
}

void ImageOpener::prepare(OpenedImage& image) const {
  const auto start = std::chrono::steady_clock::now();
  const OpenSource open = [path = image.subject.image, &options = options_] { return options.open(path); };
  std::unique_ptr<ImageSource> file = read_in_parallel(open, usual_readers());
  if (options_.window) file = window_of(std::move(file), *options_.window);
  if (const ImageInfo& info = file->info(); !info.windowed || decodes_ahead(info)) {
    image.source = image.streamed = std::make_shared<StreamedImage>(std::move(file));
  } else {
    image.source = std::make_shared<SharedSource>(std::move(file));
  }
  image.open_seconds = seconds_since(start);
  image.for_model = image.source;
  const ImageInfo& whole = image.source->info();
  const PixelExtent seen = model_extent(whole, model_, options_.scale, pixel_size_metres(whole));
  if (seen == PixelExtent{whole.width, whole.height}) return;
  // Keeps what it reads from alive.
  image.for_model = std::shared_ptr<ImageSource>(resampled(*image.source, seen.width, seen.height).release(),
                                                 [source = image.source](ImageSource* scaled) { delete scaled; });
}

// Images are read whole while others are labelled, as long as their pixels may wait: the model never waits for them then, and a file that
// could be read by windows is decoded once, not once for the tokens and once for the decoder.
bool ImageOpener::decodes_ahead(const ImageInfo& info) const { return info.width * info.height * 3 <= limits_.image_bytes; }

std::int64_t ImageOpener::weight_of(const OpenedImage& image) const {
  if (!image.source) return least_weight_;
  const ImageInfo& info = image.source->info();
  return std::max(least_weight_, decodes_ahead(info) ? info.width * info.height * 3 : 0);
}

}  // namespace fovea
