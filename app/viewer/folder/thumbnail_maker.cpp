#include "app/viewer/folder/thumbnail_maker.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "core/image/pyramid.h"
#include "core/image/writers.h"

namespace fovea {
namespace {

constexpr int kNiceness = 10;
constexpr double kClipped = 0.002;           // share of all samples that may be lost at either end

ImageU8 eight_bits(ImageU8 picture) { return picture; }

// As the window opens such images: they use a part of their range, and would be black here.
ImageU8 eight_bits(const ImageU16& picture) {
  std::vector<std::uint16_t> samples(picture.samples().begin(), picture.samples().end());
  std::ranges::sort(samples);
  const auto clipped = static_cast<std::size_t>(kClipped * static_cast<double>(samples.size()));
  const int low = samples[clipped], high = std::max<int>(low + 1, samples[samples.size() - 1 - clipped]);
  ImageU8 result(picture.width(), picture.height(), picture.channels());
  std::ranges::transform(picture.samples(), result.samples().begin(),
                         [&](int sample) { return static_cast<std::uint8_t>(std::clamp((sample - low) * 255 / (high - low), 0, 255)); });
  return result;
}

template <class Sample>
ImageU8 small_picture(Pyramid& pyramid, int level) {
  const auto size = pyramid.level_size(level);
  const Rect whole{0, 0, size.width, size.height};
  const BasicImage<Sample> coarse = pyramid.ready(level) ? pyramid.read<Sample>(whole, level) : pyramid.read_preview<Sample>(whole, level);
  const double scale = std::min(1.0, static_cast<double>(kThumbnail_pixels) / static_cast<double>(std::max(size.width, size.height)));
  const auto scaled = [&](std::int64_t side) {
    return std::max<std::int64_t>(1, static_cast<std::int64_t>(static_cast<double>(side) * scale + 0.5));
  };
  return eight_bits(resize(coarse, scaled(size.width), scaled(size.height)));
}

}  // namespace

MadeThumbnail make_thumbnail(const std::filesystem::path& path, const std::filesystem::path& pyramids) {
  MadeThumbnail made{.path = path, .picture = {}, .error = {}};
  try {
    Pyramid pyramid(path, pyramid_cache_file(path, pyramids));
    made.width = pyramid.info().width, made.height = pyramid.info().height;
    int level = pyramid.levels() - 1;
    while (level > 0 && std::max(pyramid.level_size(level).width, pyramid.level_size(level).height) < kThumbnail_pixels) --level;
    made.picture = pyramid.info().bits > 8 ? small_picture<std::uint16_t>(pyramid, level) : small_picture<std::uint8_t>(pyramid, level);
  } catch (const std::exception& error) {
    made.error = first_line(error.what());
  }
  return made;
}

ThumbnailMaker::ThumbnailMaker(std::filesystem::path pyramids, std::function<void()> wake)
    : pyramids_(std::move(pyramids)), wake_(std::move(wake)), thread_([this](const std::stop_token& stop) { work(stop); }) {}

ThumbnailMaker::~ThumbnailMaker() { thread_.request_stop(); }

void ThumbnailMaker::request(std::vector<std::filesystem::path> wanted) {
  {
    const std::lock_guard lock(mutex_);
    std::erase(wanted, current_);
    wanted_.assign(std::make_move_iterator(wanted.begin()), std::make_move_iterator(wanted.end()));
  }
  changed_.notify_all();
}

std::vector<MadeThumbnail> ThumbnailMaker::take() {
  const std::lock_guard lock(mutex_);
  return std::exchange(made_, {});
}

bool ThumbnailMaker::busy() const {
  const std::lock_guard lock(mutex_);
  return !wanted_.empty() || !current_.empty() || !made_.empty();
}

void ThumbnailMaker::work(const std::stop_token& stop) {
  setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), kNiceness);
  std::unique_lock lock(mutex_);
  while (changed_.wait(lock, stop, [this] { return !wanted_.empty(); }) && !stop.stop_requested()) {
    current_ = std::move(wanted_.front());
    wanted_.pop_front();
    const std::filesystem::path path = current_;
    lock.unlock();
    MadeThumbnail made = make_thumbnail(path, pyramids_);
    lock.lock();
    current_.clear();
    made_.push_back(std::move(made));
    lock.unlock();
    if (wake_) wake_();
    lock.lock();
  }
}

}  // namespace fovea
