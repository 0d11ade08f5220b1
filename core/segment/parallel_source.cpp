#include "core/segment/parallel_source.h"

#include <algorithm>
#include <exception>
#include <future>
#include <vector>

#include "core/base/cores.h"
#include "core/base/integers.h"
#include "core/image/copy_rows.h"

namespace fovea {
namespace {

constexpr std::int64_t kPieceSide = 1024;   // at least: smaller pieces would take longer to hand out than to decode

class ParallelSource final : public ImageSource {
 public:
  ParallelSource(std::unique_ptr<ImageSource> first, OpenSource open, unsigned readers) : open_(std::move(open)), sources_(readers) {
    sources_[0] = std::move(first);
  }
  const ImageInfo& info() const override { return sources_[0]->info(); }
  ImageU8 read_valid(Rect rect, int level) override { return sources_[0]->read_valid(rect, level); }
  ImageU8 read_rgb(Rect rect, int level) override {
    if (level != 0) return sources_[0]->read_rgb(rect, level);
    ImageU8 whole(rect.width, rect.height, 3);
    read_rgb_into(rect, whole.samples().data());
    return whole;
  }

  void read_rgb_into(Rect rect, std::uint8_t* rgb) override {
    const auto read = [&](std::size_t reader) {
      for (const Rect& piece : pieces_of(rect, reader)) {
        std::unique_ptr<ImageSource>& source = sources_[reader];
        if (!source) source = open_();
        const ImageU8 part = source->read_rgb(piece);
        std::uint8_t* out = rgb + ((piece.y - rect.y) * rect.width + piece.x - rect.x) * 3;
        copy_rows(part.samples().data(), piece.width * 3, out, rect.width * 3, piece.width * 3, piece.height);
      }
    };
    std::vector<std::future<void>> others;
    for (std::size_t reader = 1; reader < sources_.size(); ++reader) {
      if (!pieces_of(rect, reader).empty()) others.push_back(std::async(std::launch::async, read, reader));
    }
    std::exception_ptr failure;
    const auto note_failure = [&](const auto& work) {
      try {
        work();
      } catch (...) {
        if (!failure) failure = std::current_exception();
      }
    };
    note_failure([&] { read(0); });
    for (auto& other : others) note_failure([&] { other.get(); });   // all of them: they write into rgb
    if (failure) std::rethrow_exception(failure);
  }

 private:
  // A reader's parts of a window. Whatever the window, a place belongs to the same reader, whose cache then still holds the blocks that the
  // window before ended in the middle of. Strips across the image where its blocks are as wide as the image, else down.
  std::vector<Rect> pieces_of(const Rect& rect, std::size_t reader) const {
    const ImageInfo& image = info();
    const bool across = image.block_width >= image.width;
    const std::int64_t block = across ? image.block_height : image.block_width, side = divide_up(kPieceSide, block) * block;
    const std::int64_t begin = across ? rect.y : rect.x, end = begin + (across ? rect.height : rect.width);
    const auto readers = static_cast<std::int64_t>(sources_.size());
    std::vector<Rect> pieces;
    for (std::int64_t strip = begin / side; strip * side < end; ++strip) {
      if (strip % readers != static_cast<std::int64_t>(reader)) continue;
      const std::int64_t first = std::max(begin, strip * side), count = std::min(end, (strip + 1) * side) - first;
      pieces.push_back(across ? Rect{rect.x, first, rect.width, count} : Rect{first, rect.y, count, rect.height});
    }
    return pieces;
  }

  const OpenSource open_;
  std::vector<std::unique_ptr<ImageSource>> sources_;   // [readers]; opened when they are first needed
};

}  // namespace

unsigned usual_readers() { return share_of_cores(2, 8); }

std::unique_ptr<ImageSource> read_in_parallel(const OpenSource& open, unsigned readers) {
  std::unique_ptr<ImageSource> first = open();
  const ImageInfo& info = first->info();
  const bool divisible = info.windowed && info.block_width > 0 && info.block_height > 0;
  if (readers <= 1 || !divisible || info.width * info.height <= kPieceSide * kPieceSide) return first;
  return std::make_unique<ParallelSource>(std::move(first), open, readers);
}

}  // namespace fovea
