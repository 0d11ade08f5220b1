// An image whose pixels arrive from top to bottom while others ask for them.
#pragma once

#include <atomic>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <stop_token>
#include <thread>

#include "core/image/image_source.h"

namespace fovea {

// Keeps all pixels in memory, so that they are decoded once however often they are read. A read waits until its rows are there; reads of
// several threads at once are allowed.
class StreamedImage final : public ImageSource {
 public:
  explicit StreamedImage(std::unique_ptr<ImageSource> file);

  // Decodes on the calling thread; what goes wrong, and Error{kCancelled}, is thrown by the reads. The first read starts a thread that does
  // so where nobody has.
  void decode(const std::stop_token& stop);

  const ImageInfo& info() const override { return info_; }
  ImageU8 read_rgb(Rect rect, int level) override;
  ImageU8 read_valid(Rect rect, int level) override;
  void read_rgb_into(Rect rect, std::uint8_t* rgb) override;

  double decode_seconds() const { return decode_seconds_; }   // so far

 private:
  bool begin();
  void decode_all(const std::stop_token& stop);
  void take(const ImageU8& rgb, const ImageU8& valid);
  void wait_for(std::int64_t end_row);

  std::unique_ptr<ImageSource> file_;   // until it is decoded
  const ImageInfo info_;
  std::unique_ptr<std::uint8_t[]> rgb_, valid_;   // not touched before rows arrive; valid_ only where some pixels lack data
  std::mutex mutex_;
  std::condition_variable changed_;
  std::int64_t rows_ready_ = 0;
  bool begun_ = false;
  std::exception_ptr failure_;
  std::atomic<double> decode_seconds_ = 0;
  std::jthread thread_;                 // last: it uses all the others; stopped when nobody wants the pixels any more
};

}  // namespace fovea
