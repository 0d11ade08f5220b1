#include "core/segment/whole_reader.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <exception>
#include <future>
#include <thread>
#include <vector>

namespace fovea {
namespace {

constexpr std::int64_t kRowsAtOnce = 1024;   // whole rows of the usual tiles
constexpr unsigned kMostReaders = 4;         // more would only wait for the writer of masks

}  // namespace

unsigned usual_readers() { return std::clamp(std::thread::hardware_concurrency() / 2, 1u, kMostReaders); }

ImageU8 read_whole(ImageSource& source, const OpenSource& open, unsigned readers) {
  const ImageInfo& info = source.info();
  const auto pieces = static_cast<std::size_t>((info.height + kRowsAtOnce - 1) / kRowsAtOnce);
  if (readers <= 1 || pieces == 1) return source.read_rgb({0, 0, info.width, info.height});
  ImageU8 whole(info.width, info.height, 3);
  std::atomic<std::size_t> next = 0;
  const auto read = [&](ImageSource& own) {
    for (std::size_t piece = next++; piece < pieces; piece = next++) {
      const std::int64_t first = static_cast<std::int64_t>(piece) * kRowsAtOnce, rows = std::min(kRowsAtOnce, info.height - first);
      const ImageU8 part = own.read_rgb({0, first, info.width, rows});
      std::memcpy(whole.row(first), part.samples().data(), part.samples().size());
    }
  };
  std::vector<std::future<void>> others;
  for (std::size_t i = 1; i < std::min<std::size_t>(readers, pieces); ++i) {
    others.push_back(std::async(std::launch::async, [&] { read(*open()); }));
  }
  std::exception_ptr failure;
  const auto note_failure = [&](const auto& work) {
    try {
      work();
    } catch (...) {
      next = pieces;   // nobody begins another piece
      if (!failure) failure = std::current_exception();
    }
  };
  note_failure([&] { read(source); });
  for (auto& other : others) note_failure([&] { other.get(); });
  if (failure) std::rethrow_exception(failure);
  return whole;
}

}  // namespace fovea
