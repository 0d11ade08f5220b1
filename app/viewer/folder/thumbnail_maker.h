// Small pictures of image files, made on a worker; the latest wishes first.
#pragma once

#include <condition_variable>
#include <deque>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/image/image.h"

namespace fovea {

inline constexpr std::int64_t kThumbnail_pixels = 160;   // the longer side

struct MadeThumbnail {
  std::filesystem::path path;
  ImageU8 picture;                         // [h, w, 3]; empty: it could not be read
  std::int64_t width = 0, height = 0;      // of the image
  std::string error;                       // why it could not be read
};

// What can be had of it quickly: its overviews, the cache of pyramids, else a coarse decode. Never throws.
MadeThumbnail make_thumbnail(const std::filesystem::path& path, const std::filesystem::path& pyramids);

class ThumbnailMaker {
 public:
  // wake: called from the worker when one is ready.
  ThumbnailMaker(std::filesystem::path pyramids, std::function<void()> wake);
  ~ThumbnailMaker();
  ThumbnailMaker(const ThumbnailMaker&) = delete;
  ThumbnailMaker& operator=(const ThumbnailMaker&) = delete;

  // What is wanted now, most urgent first. Replaces what was wanted before.
  void request(std::vector<std::filesystem::path> wanted);
  std::vector<MadeThumbnail> take();
  bool busy() const;

 private:
  void work(const std::stop_token& stop);
  const std::filesystem::path pyramids_;
  const std::function<void()> wake_;
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<std::filesystem::path> wanted_;
  std::filesystem::path current_;
  std::vector<MadeThumbnail> made_;
  std::jthread thread_;                    // last: joined before the rest is destroyed
};

}  // namespace fovea
