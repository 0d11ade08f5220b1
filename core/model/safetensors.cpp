#include "core/model/safetensors.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <limits>
#include <optional>
#include <tuple>
#include <utility>

#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/model/strict_json.h"

namespace fovea {
namespace {

static_assert(std::endian::native == std::endian::little, "tensors are read as stored: little-endian");

constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;
constexpr std::uint64_t kLengthBytes = 8;
constexpr int kMaxHeaderDepth = 4;        // root, tensor, shape or offsets, and one for what an unknown field may hold
constexpr char kMetadataKey[] = "__metadata__";

struct TypeRow {
  ElementType type;
  std::string_view name;
  std::int64_t size_bytes;
};
constexpr std::array<TypeRow, 17> kTypes{{
    {ElementType::kBool, "BOOL", 1}, {ElementType::kU8, "U8", 1},           {ElementType::kI8, "I8", 1},
    {ElementType::kF8E5M2, "F8_E5M2", 1}, {ElementType::kF8E4M3, "F8_E4M3", 1}, {ElementType::kF8E8M0, "F8_E8M0", 1},
    {ElementType::kI16, "I16", 2},   {ElementType::kU16, "U16", 2},         {ElementType::kF16, "F16", 2},
    {ElementType::kBF16, "BF16", 2}, {ElementType::kI32, "I32", 4},         {ElementType::kU32, "U32", 4},
    {ElementType::kF32, "F32", 4},   {ElementType::kI64, "I64", 8},         {ElementType::kU64, "U64", 8},
    {ElementType::kF64, "F64", 8},   {ElementType::kC64, "C64", 8},
}};

const TypeRow& row_of(ElementType type) {
  return *std::find_if(kTypes.begin(), kTypes.end(), [type](const TypeRow& row) { return row.type == type; });
}

std::optional<std::uint64_t> checked_product(std::uint64_t a, std::uint64_t b) {
  if (a != 0 && b > std::numeric_limits<std::uint64_t>::max() / a) return std::nullopt;
  return a * b;
}

[[noreturn]] void fail(const std::filesystem::path& path, const std::string& what) {
  throw Error(ErrorKind::kModel, path.string() + ": " + what);
}

nlohmann::json parse_header(const std::string& text, const std::filesystem::path& path) {
  if (text.empty() || text.front() != '{') fail(path, "header does not begin with '{'");
  return parse_strict_json(text, kMaxHeaderDepth, path.string());
}

std::map<std::string, std::string> parse_metadata(const nlohmann::json& object, const std::filesystem::path& path) {
  if (!object.is_object()) fail(path, std::string(kMetadataKey) + ": must be an object");
  std::map<std::string, std::string> metadata;
  for (const auto& [key, value] : object.items()) {
    if (!value.is_string()) fail(path, std::string(kMetadataKey) + ": " + printable(key) + ": must be a string");
    metadata.emplace(key, value.get<std::string>());
  }
  return metadata;
}

// Reads one tensor's description and checks it by itself: fields, type, shape, and that the data have the size the shape implies.
TensorEntry parse_entry(const std::string& name, const nlohmann::json& object, const std::filesystem::path& path) {
  const auto bad = [&](const std::string& what) { fail(path, printable(name) + ": " + what); };
  if (!object.is_object()) bad("must be an object with dtype, shape and data_offsets");
  for (const char* field : {"dtype", "shape", "data_offsets"}) if (!object.contains(field)) bad(std::string(field) + " is missing");

  TensorEntry entry;
  entry.name = name;
  const auto& dtype = object["dtype"];
  const auto row = std::find_if(kTypes.begin(), kTypes.end(), [&](const TypeRow& r) { return dtype.is_string() && dtype == r.name; });
  if (row == kTypes.end()) bad("unknown dtype " + printable(dtype.dump(-1, ' ', true)));
  entry.type = row->type;

  if (!object["shape"].is_array()) bad("shape must be a list");
  std::optional<std::uint64_t> size = static_cast<std::uint64_t>(row->size_bytes);
  for (const auto& extent : object["shape"]) {
    if (!extent.is_number_unsigned()) bad("shape must hold integers of at least 0");
    const auto value = extent.get<std::uint64_t>();
    if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) bad("shape overflows 64 bits");
    size = checked_product(*size, value);
    if (!size) bad("shape overflows 64 bits");
    entry.shape.push_back(static_cast<std::int64_t>(value));
  }

  const auto& offsets = object["data_offsets"];
  if (!offsets.is_array() || offsets.size() != 2 || !offsets[0].is_number_unsigned() || !offsets[1].is_number_unsigned()) {
    bad("data_offsets must be two integers of at least 0");
  }
  const auto begin = offsets[0].get<std::uint64_t>(), end = offsets[1].get<std::uint64_t>();
  if (end < begin) bad("data_offsets end before they begin");
  if (end - begin != *size) {
    bad("data of " + std::to_string(end - begin) + " bytes, expected " + std::to_string(*size) + " from dtype and shape");
  }
  entry.offset_bytes = begin;
  entry.size_bytes = *size;
  return entry;
}

// Sorted by data, every tensor begins where the one before ends, and the file ends with the last.
void check_layout(std::vector<TensorEntry>& entries, std::uint64_t data_bytes, const std::filesystem::path& path) {
  std::sort(entries.begin(), entries.end(), [](const TensorEntry& a, const TensorEntry& b) {
    return std::tie(a.offset_bytes, a.size_bytes, a.name) < std::tie(b.offset_bytes, b.size_bytes, b.name);
  });
  std::uint64_t position = 0;
  for (const auto& entry : entries) {
    if (entry.offset_bytes < position) fail(path, printable(entry.name) + ": data overlap the tensor before");
    if (entry.offset_bytes > position) fail(path, printable(entry.name) + ": a hole before its data");
    if (entry.size_bytes > data_bytes - position) fail(path, printable(entry.name) + ": data reach beyond the end of the file");
    position += entry.size_bytes;
  }
  if (position != data_bytes) fail(path, std::to_string(data_bytes - position) + " bytes follow the last tensor");
}

void read_at(int descriptor, std::uint64_t offset, std::span<std::byte> destination, const std::filesystem::path& path) {
  for (std::size_t done = 0; done < destination.size();) {
    const auto n = ::pread(descriptor, destination.data() + done, destination.size() - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(path, std::string("cannot read: ") + std::strerror(errno));
    if (n == 0) fail(path, "ended while it was read");
    done += static_cast<std::size_t>(n);
  }
}

std::uint64_t regular_file_size(int descriptor, const std::filesystem::path& path) {
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) fail(path, std::strerror(errno));
  if (!S_ISREG(status.st_mode)) fail(path, "is not a regular file");
  return static_cast<std::uint64_t>(status.st_size);
}

}  // namespace

std::string_view element_type_name(ElementType type) { return row_of(type).name; }
std::int64_t element_size_bytes(ElementType type) { return row_of(type).size_bytes; }

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) : path_(path) {
  descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);   // a FIFO must not block before its kind is known
  if (descriptor_ < 0) fail(path, std::strerror(errno));
  try {
    const std::uint64_t file_bytes = regular_file_size(descriptor_, path);
    if (file_bytes < kLengthBytes) fail(path, std::to_string(file_bytes) + " bytes are too few for a safetensors file");
    std::uint64_t header_bytes = 0;
    read_at(descriptor_, 0, std::as_writable_bytes(std::span(&header_bytes, 1)), path);
    if (header_bytes > kMaxHeaderBytes) fail(path, "header of " + std::to_string(header_bytes) + " bytes, at most 100000000 are allowed");
    if (header_bytes > file_bytes - kLengthBytes) {
      fail(path, "header of " + std::to_string(header_bytes) + " bytes reaches beyond the end of the file");
    }
    std::string text(header_bytes, '\0');
    read_at(descriptor_, kLengthBytes, std::as_writable_bytes(std::span(text)), path);
    const auto header = parse_header(text, path);
    for (const auto& [name, value] : header.items()) {
      if (name == kMetadataKey) metadata_ = parse_metadata(value, path);
      else entries_.push_back(parse_entry(name, value, path));
    }
    data_start_ = kLengthBytes + header_bytes;
    check_layout(entries_, file_bytes - data_start_, path);
  } catch (...) {
    ::close(descriptor_);
    throw;
  }
}

SafetensorsFile::~SafetensorsFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

SafetensorsFile::SafetensorsFile(SafetensorsFile&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)), data_start_(other.data_start_),
      entries_(std::move(other.entries_)), metadata_(std::move(other.metadata_)) {}

const TensorEntry* SafetensorsFile::find(std::string_view name) const {
  const auto found = std::find_if(entries_.begin(), entries_.end(), [name](const TensorEntry& entry) { return entry.name == name; });
  return found == entries_.end() ? nullptr : &*found;
}

void SafetensorsFile::read(const TensorEntry& entry, std::span<std::byte> destination) const {
  require(destination.size() == entry.size_bytes, "SafetensorsFile::read: destination must have the tensor's size");
  read_at(descriptor_, data_start_ + entry.offset_bytes, destination, path_);
}

void write_safetensors(const std::filesystem::path& path, std::vector<TensorToWrite> tensors,
                       const std::map<std::string, std::string>& metadata) {
  const auto rank = [](const TensorToWrite& tensor) { return std::pair(-element_size_bytes(tensor.type), std::string_view(tensor.name)); };
  std::sort(tensors.begin(), tensors.end(), [&](const TensorToWrite& a, const TensorToWrite& b) { return rank(a) < rank(b); });
  auto header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header[kMetadataKey] = metadata;
  std::uint64_t position = 0;
  for (const auto& tensor : tensors) {
    std::uint64_t expected = static_cast<std::uint64_t>(element_size_bytes(tensor.type));
    for (const auto extent : tensor.shape) expected *= static_cast<std::uint64_t>(extent);
    require(tensor.data.size() == expected, "write_safetensors: data must have the size that type and shape imply");
    require(!header.contains(tensor.name), "write_safetensors: a name appears twice");
    header[tensor.name] = {{"dtype", element_type_name(tensor.type)}, {"shape", tensor.shape},
                           {"data_offsets", {position, position + expected}}};
    position += expected;
  }
  std::string text = header.dump();
  text.append((kLengthBytes - text.size() % kLengthBytes) % kLengthBytes, ' ');   // data begin aligned to the largest element
  const std::uint64_t header_bytes = text.size();

  AtomicFile file(path);
  errno = 0;
  std::ofstream stream(file.path(), std::ios::binary | std::ios::trunc);
  stream.write(reinterpret_cast<const char*>(&header_bytes), sizeof header_bytes);
  stream.write(text.data(), static_cast<std::streamsize>(text.size()));
  for (const auto& tensor : tensors) {
    stream.write(reinterpret_cast<const char*>(tensor.data.data()), static_cast<std::streamsize>(tensor.data.size()));
  }
  stream.close();
  if (!stream) throw Error(ErrorKind::kEnvironment, path.string() + ": cannot write: " + (errno ? std::strerror(errno) : "unknown reason"));
  file.commit();
}

}  // namespace fovea
