#include "core/image/file_header.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"

namespace fovea {
namespace {

// Reads anywhere in a file. Bytes beyond the end are an empty result, never an exception: headers of broken files point anywhere.
class FileBytes {
 public:
  explicit FileBytes(const std::filesystem::path& path) : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
    if (fd_ < 0) throw Error(ErrorKind::kInput, path.string() + ": " + std::strerror(errno));
    struct stat status {};
    if (::fstat(fd_, &status) == 0) size_ = status.st_size, is_folder_ = S_ISDIR(status.st_mode), is_regular_ = S_ISREG(status.st_mode);
  }
  ~FileBytes() { ::close(fd_); }
  FileBytes(const FileBytes&) = delete;
  FileBytes& operator=(const FileBytes&) = delete;

  std::int64_t size() const { return size_; }
  bool is_folder() const { return is_folder_; }
  bool is_regular() const { return is_regular_; }

  std::vector<std::uint8_t> read(std::uint64_t offset, std::size_t count) const {
    if (offset > static_cast<std::uint64_t>(size_)) return {};
    std::vector<std::uint8_t> bytes(std::min<std::uint64_t>(count, static_cast<std::uint64_t>(size_) - offset));
    const ssize_t got = ::pread(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    bytes.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
    return bytes;
  }

 private:
  int fd_;
  std::int64_t size_ = 0;
  bool is_folder_ = false, is_regular_ = false;
};

std::uint64_t read_integer(std::span<const std::uint8_t> bytes, bool little_endian) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) value = value << 8 | bytes[little_endian ? bytes.size() - 1 - i : i];
  return value;
}

// The fields of a TIFF's first directory that matter before decoding; EXIF blocks are TIFF directories too.
struct TiffFields {
  std::int64_t width = -1, height = -1;
  int orientation = 1;
};

std::optional<TiffFields> read_tiff_fields(const FileBytes& file, std::uint64_t base) {
  const auto head = file.read(base, 16);
  if (head.size() < 8) return std::nullopt;
  const bool little_endian = head[0] == 'I';
  const auto at = [&](std::span<const std::uint8_t> bytes, std::size_t offset, std::size_t count) {
    return read_integer(bytes.subspan(offset, count), little_endian);
  };
  const bool big = at(head, 2, 2) == 43;
  if (big && head.size() < 16) return std::nullopt;
  const std::uint64_t directory = big ? at(head, 8, 8) : at(head, 4, 4);
  const std::size_t count_bytes = big ? 8 : 2, entry_bytes = big ? 20 : 12, value_offset = big ? 12 : 8;
  if (directory > static_cast<std::uint64_t>(file.size())) return std::nullopt;
  const auto count_field = file.read(base + directory, count_bytes);
  if (count_field.size() < count_bytes) return std::nullopt;
  const std::size_t entries = std::min<std::uint64_t>(at(count_field, 0, count_bytes), 4096);   // real files have some twenty
  const auto table = file.read(base + directory + count_bytes, entries * entry_bytes);
  TiffFields fields;
  for (std::size_t offset = 0; offset + entry_bytes <= table.size(); offset += entry_bytes) {
    const auto tag = at(table, offset, 2), type = at(table, offset + 2, 2);
    const std::size_t width = type == 3 ? 2 : type == 4 ? 4 : type == 16 && big ? 8 : 0;
    if (width == 0) continue;
    const auto value = at(table, offset + value_offset, width);
    const auto size = static_cast<std::int64_t>(std::min<std::uint64_t>(value, INT64_MAX));
    if (tag == 256) fields.width = size;
    if (tag == 257) fields.height = size;
    if (tag == 274 && value >= 1 && value <= 8) fields.orientation = static_cast<int>(value);
  }
  return fields;
}

void read_tiff(const FileBytes& file, FileHeader& header) {
  const auto fields = read_tiff_fields(file, 0);
  if (!fields) return;
  header.width = fields->width, header.height = fields->height, header.orientation = fields->orientation;
}

void read_png(std::span<const std::uint8_t> head, FileHeader& header) {
  if (head.size() < 26) return;
  header.width = static_cast<std::int64_t>(read_integer(head.subspan(16, 4), false));
  header.height = static_cast<std::int64_t>(read_integer(head.subspan(20, 4), false));
  const int colour_type = head[25], samples = colour_type == 2 ? 3 : colour_type == 4 ? 2 : colour_type == 6 ? 4 : 1;
  // DEFLATE writes at least 2 bits for 258 bytes.
  header.max_pixels_per_byte = 1032.0 * 8 / (std::max<int>(head[24], 1) * samples);
}

void read_jpeg_frame(std::span<const std::uint8_t> segment, int marker, FileHeader& header) {
  if (segment.size() < 6) return;
  header.jpeg_bits = segment[0];
  header.height = static_cast<std::int64_t>(read_integer(segment.subspan(1, 2), false));
  header.width = static_cast<std::int64_t>(read_integer(segment.subspan(3, 2), false));
  header.jpeg_components = segment[5];
  const bool progressive = (marker & 3) == 2, arithmetic = marker >= 0xC9;
  if (progressive) header.jpeg_transform_bytes_per_pixel = 2 * header.jpeg_components;
  // A Huffman code spends at least one bit on a block's DC, and the strangest sampling factors (4x1 and 1x4) leave 128 pixels a block.
  if (!arithmetic) header.max_pixels_per_byte = 8.0 * 128;
}

void read_jpeg(const FileBytes& file, FileHeader& header) {
  std::uint64_t offset = 2;
  for (int segment = 0; segment < 4096; ++segment) {
    const auto head = file.read(offset, 10);
    if (head.size() < 4) return;
    if (head[0] != 0xFF) { ++offset; continue; }     // decoders skip stray bytes between segments
    const int marker = head[1];
    if (marker == 0xFF) { ++offset; continue; }      // fill byte
    if (marker == 0x01 || (marker >= 0xD0 && marker <= 0xD8)) { offset += 2; continue; }
    if (marker == 0xD9 || marker == 0xDA) return;
    const std::uint64_t length = read_integer(std::span(head).subspan(2, 2), false);
    const bool frame = marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
    if (frame) return read_jpeg_frame(file.read(offset + 4, 6), marker, header);
    if (marker == 0xE1 && head.size() == 10 && std::memcmp(head.data() + 4, "Exif\0\0", 6) == 0) {
      if (const auto fields = read_tiff_fields(file, offset + 10)) header.orientation = fields->orientation;
    }
    offset += 2 + std::max<std::uint64_t>(length, 2);
  }
}

bool starts_with(std::span<const std::uint8_t> head, std::string_view magic, std::size_t offset = 0) {
  return head.size() >= offset + magic.size() && std::memcmp(head.data() + offset, magic.data(), magic.size()) == 0;
}

const char* driver_of(std::span<const std::uint8_t> head) {
  using namespace std::string_view_literals;
  if (starts_with(head, "\x89PNG\r\n\x1a\n"sv)) return "PNG";
  if (starts_with(head, "\xff\xd8\xff"sv)) return "JPEG";
  for (const auto magic : {"II*\0"sv, "MM\0*"sv, "II+\0"sv, "MM\0+"sv}) if (starts_with(head, magic)) return "GTiff";
  if (starts_with(head, "\0\0\0\x0cjP  \r\n\x87\n"sv) || starts_with(head, "\xff\x4f\xff\x51"sv)) return "JP2OpenJPEG";
  if (starts_with(head, "RIFF"sv) && starts_with(head, "WEBP"sv, 8)) return "WEBP";
  if (starts_with(head, "BM"sv) && head.size() >= 26) return "BMP";
  return nullptr;
}

}  // namespace

FileHeader read_file_header(const std::filesystem::path& path) {
  const FileBytes file(path);
  const auto fail = [&](const char* what) { throw Error(ErrorKind::kInput, path.string() + ": " + what); };
  if (file.is_folder()) fail("a folder, expected an image file");
  if (!file.is_regular()) fail("not a regular file");
  if (file.size() == 0) fail("empty file");
  const auto head = file.read(0, 64);
  FileHeader header;
  header.file_bytes = file.size();
  header.width = header.height = -1;
  header.driver = driver_of(head);
  if (!header.driver) fail("not an image that can be read (PNG, JPEG, TIFF, JPEG 2000, BMP, WebP)");
  const std::string_view driver = header.driver;
  if (driver == "PNG") read_png(head, header);
  if (driver == "JPEG") read_jpeg(file, header);
  if (driver == "GTiff") read_tiff(file, header);
  return header;
}

}  // namespace fovea
