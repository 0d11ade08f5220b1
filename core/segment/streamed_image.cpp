#include "core/segment/streamed_image.h"

#include <chrono>
#include <cstring>
#include <utility>

#include "core/base/clock.h"
#include "core/base/progress.h"
#include "core/image/copy_rows.h"

namespace fovea {
namespace {

std::unique_ptr<std::uint8_t[]> memory_for(std::int64_t bytes) {
  return std::make_unique_for_overwrite<std::uint8_t[]>(static_cast<std::size_t>(bytes));
}

}  // namespace

StreamedImage::StreamedImage(std::unique_ptr<ImageSource> file) : file_(std::move(file)), info_(file_->info()) {}

bool StreamedImage::begin() {
  const std::scoped_lock lock(mutex_);
  return !std::exchange(begun_, true);
}

void StreamedImage::decode(const std::stop_token& stop) {
  if (begin()) decode_all(stop);
}

void StreamedImage::decode_all(const std::stop_token& stop) {
  const auto start = std::chrono::steady_clock::now();
  const auto note_time = [&] { decode_seconds_ = seconds_since(start); };
  std::exception_ptr failure;
  try {
    rgb_ = memory_for(info_.width * info_.height * 3);
    file_->read_rows([&](const ImageU8& rgb, const ImageU8& valid) {
      note_time();
      throw_if_stopped(stop);
      take(rgb, valid);
      return true;
    });
    if (rows_ready_ != info_.height) throw Error(ErrorKind::kContract, "the image has fewer rows than it said");
  } catch (...) {
    failure = std::current_exception();
  }
  file_.reset();
  note_time();
  const std::scoped_lock lock(mutex_);
  failure_ = failure;
  changed_.notify_all();
}

void StreamedImage::take(const ImageU8& rgb, const ImageU8& valid) {
  require(rgb.width() == info_.width && rgb.channels() == 3 && rows_ready_ + rgb.height() <= info_.height, "rows do not fit the image");
  require(rows_ready_ == 0 || valid.empty() == !valid_, "either all rows say where data is missing or none");
  std::memcpy(rgb_.get() + rows_ready_ * info_.width * 3, rgb.samples().data(), rgb.samples().size());
  if (!valid.empty()) {
    if (!valid_) valid_ = memory_for(info_.width * info_.height);
    std::memcpy(valid_.get() + rows_ready_ * info_.width, valid.samples().data(), valid.samples().size());
  }
  const std::scoped_lock lock(mutex_);
  rows_ready_ += rgb.height();
  changed_.notify_all();
}

void StreamedImage::wait_for(std::int64_t end_row) {
  if (begin()) thread_ = std::jthread([this](const std::stop_token& stop) { decode_all(stop); });
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return rows_ready_ >= end_row || failure_; });
  if (rows_ready_ < end_row) std::rethrow_exception(failure_);
}

void StreamedImage::read_rgb_into(Rect rect, std::uint8_t* rgb) {
  wait_for(rect.y + rect.height);
  copy_rows(rgb_.get() + (rect.y * info_.width + rect.x) * 3, info_.width * 3, rgb, rect.width * 3, rect.width * 3, rect.height);
}

ImageU8 StreamedImage::read_rgb(Rect rect, int) {
  ImageU8 part(rect.width, rect.height, 3);
  read_rgb_into(rect, part.samples().data());
  return part;
}

ImageU8 StreamedImage::read_valid(Rect rect, int) {
  wait_for(rect.y + rect.height);
  ImageU8 part(rect.width, rect.height, 1);
  std::uint8_t* out = part.samples().data();
  if (valid_) copy_rows(valid_.get() + rect.y * info_.width + rect.x, info_.width, out, rect.width, rect.width, rect.height);
  else std::memset(out, 255, part.samples().size());
  return part;
}

}  // namespace fovea
