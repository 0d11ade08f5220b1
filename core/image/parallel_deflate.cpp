#include "core/image/parallel_deflate.h"

#include <zlib.h>

#include <algorithm>
#include <memory>

#include "core/base/cores.h"
#include "core/base/error.h"

namespace fovea {
namespace {

constexpr std::size_t kDictionaryBytes = 32768;            // as far back as DEFLATE refers
constexpr int kRawDeflate = -15, kMemoryLevel = 8;         // window of 2^15 without zlib's header; zlib's default
constexpr std::uint8_t kMethod = 0x78;                     // DEFLATE with a window of 2^15

struct StreamEnd {
  void operator()(z_stream* stream) const { deflateEnd(stream); }
};

// The second byte of the header: how hard the compressor tried, and a check digit.
std::uint8_t flags_of(int level) {
  const int effort = level < 2 ? 0 : level < 6 ? 1 : level == 6 ? 2 : 3, flags = effort << 6;
  return static_cast<std::uint8_t>(flags + 31 - (kMethod * 256 + flags) % 31);
}

}  // namespace

unsigned usual_compressors() { return share_of_cores(2, 8); }

ParallelDeflate::ParallelDeflate(int level, unsigned threads, Sink sink)
    : level_(level), threads_(std::max(threads, 1u)), sink_(std::move(sink)) {
  require(level >= 1 && level <= 9, "ParallelDeflate: a level is 1 to 9");
  pending_.reserve(kBlockBytes);
  const std::uint8_t header[] = {kMethod, flags_of(level)};
  sink_(header);
}

void ParallelDeflate::append(std::span<const std::uint8_t> bytes) {
  while (!bytes.empty()) {
    if (pending_.size() == kBlockBytes) start_block(Place::kMiddle);
    const std::size_t count = std::min(bytes.size(), kBlockBytes - pending_.size());
    pending_.insert(pending_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count));
    bytes = bytes.subspan(count);
  }
}

void ParallelDeflate::finish() {
  start_block(Place::kLast);
  while (!blocks_.empty()) hand_on_oldest();
  const std::uint8_t checksum[] = {static_cast<std::uint8_t>(adler_ >> 24), static_cast<std::uint8_t>(adler_ >> 16),
                                   static_cast<std::uint8_t>(adler_ >> 8), static_cast<std::uint8_t>(adler_)};
  sink_(checksum);
}

void ParallelDeflate::start_block(Place place) {
  if (blocks_.size() == threads_) hand_on_oldest();
  const auto kept = static_cast<std::ptrdiff_t>(std::min(pending_.size(), kDictionaryBytes));
  std::vector<std::uint8_t> dictionary(pending_.end() - kept, pending_.end());
  std::swap(dictionary, dictionary_);
  // What is small enough for one block needs no thread.
  const bool here = threads_ == 1 || (place == Place::kLast && blocks_.empty());
  blocks_.push_back(std::async(here ? std::launch::deferred : std::launch::async,
                               [input = std::move(pending_), dictionary = std::move(dictionary), level = level_, place] {
                                 return compress(input, dictionary, level, place);
                               }));
  if (here) hand_on_oldest();
  pending_ = {};
  if (place == Place::kMiddle) pending_.reserve(kBlockBytes);
}

void ParallelDeflate::hand_on_oldest() {
  const Compressed block = blocks_.front().get();
  blocks_.pop_front();
  adler_ = static_cast<std::uint32_t>(adler32_combine(adler_, block.adler, static_cast<z_off_t>(block.input_bytes)));
  sink_(block.bytes);
}

ParallelDeflate::Compressed ParallelDeflate::compress(const std::vector<std::uint8_t>& input, const std::vector<std::uint8_t>& dictionary,
                                                      int level, Place place) {
  z_stream stream{};
  require(deflateInit2(&stream, level, Z_DEFLATED, kRawDeflate, kMemoryLevel, Z_DEFAULT_STRATEGY) == Z_OK, "zlib cannot start");
  const std::unique_ptr<z_stream, StreamEnd> owner(&stream);
  if (!dictionary.empty()) deflateSetDictionary(&stream, dictionary.data(), static_cast<uInt>(dictionary.size()));
  constexpr std::size_t kFlushBytes = 16;   // the empty block that a flush ends with
  Compressed result{.bytes = std::vector<std::uint8_t>(deflateBound(&stream, static_cast<uLong>(input.size())) + kFlushBytes)};
  stream.next_in = const_cast<Bytef*>(input.data());   // zlib only reads it
  stream.avail_in = static_cast<uInt>(input.size());
  stream.next_out = result.bytes.data();
  stream.avail_out = static_cast<uInt>(result.bytes.size());
  const int state = deflate(&stream, place == Place::kLast ? Z_FINISH : Z_SYNC_FLUSH);
  require(state == (place == Place::kLast ? Z_STREAM_END : Z_OK) && stream.avail_in == 0, "zlib left bytes over");
  result.bytes.resize(stream.total_out);
  result.adler = static_cast<std::uint32_t>(adler32(1, input.data(), static_cast<uInt>(input.size())));
  result.input_bytes = input.size();
  return result;
}

}  // namespace fovea
