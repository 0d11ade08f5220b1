// An image that several threads may read.
#pragma once

#include <memory>
#include <mutex>

#include "core/image/image_source.h"

namespace fovea {

// One reader after the other.
class SharedSource final : public ImageSource {
 public:
  explicit SharedSource(std::unique_ptr<ImageSource> source) : source_(std::move(source)) {}
  const ImageInfo& info() const override { return source_->info(); }
  ImageU8 read_rgb(Rect rect, int level = 0) override {
    const std::scoped_lock lock(mutex_);
    return source_->read_rgb(rect, level);
  }
  ImageU16 read_rgb16(Rect rect, int level = 0) override {
    const std::scoped_lock lock(mutex_);
    return source_->read_rgb16(rect, level);
  }
  int white_level() override {
    const std::scoped_lock lock(mutex_);
    return source_->white_level();
  }
  ImageU8 read_valid(Rect rect, int level = 0) override {
    const std::scoped_lock lock(mutex_);
    return source_->read_valid(rect, level);
  }
  void read_rgb_into(Rect rect, std::uint8_t* rgb) override {
    const std::scoped_lock lock(mutex_);
    source_->read_rgb_into(rect, rgb);
  }

 private:
  std::unique_ptr<ImageSource> source_;
  std::mutex mutex_;
};

}  // namespace fovea
