#include "app/viewer/folder/thumbnail_maker.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "core/image/pyramid.h"
#include "core/image/writers.h"

namespace fovea {
namespace {

constexpr int kNiceness = 10;

}  // namespace

MadeThumbnail make_thumbnail(const std::filesystem::path& path, const std::filesystem::path& pyramids) {
  MadeThumbnail made{.path = path, .picture = {}, .error = {}};
  try {
    Pyramid pyramid(path, pyramid_cache_file(path, pyramids));
    made.width = pyramid.info().width, made.height = pyramid.info().height;
    int level = pyramid.levels() - 1;
    while (level > 0 && std::max(pyramid.level_size(level).width, pyramid.level_size(level).height) < kThumbnail_pixels) --level;
    const auto size = pyramid.level_size(level);
    const Rect whole{0, 0, size.width, size.height};
    const ImageU8 coarse = pyramid.ready(level) ? pyramid.read_rgb(whole, level) : pyramid.read_preview<std::uint8_t>(whole, level);
    const double scale = std::min(1.0, static_cast<double>(kThumbnail_pixels) / static_cast<double>(std::max(size.width, size.height)));
    const auto scaled = [&](std::int64_t side) { return std::max<std::int64_t>(1, static_cast<std::int64_t>(static_cast<double>(side) * scale + 0.5)); };
    made.picture = resize(coarse, scaled(size.width), scaled(size.height));
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
