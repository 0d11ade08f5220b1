#include "core/segment/journal.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>
#include <zlib.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>
#include <system_error>
#include <vector>

#include "core/base/error.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class Sha256 {
 public:
  Sha256() { require(context_ && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1, "SHA-256 is not available"); }
  void add(const char* bytes, std::size_t count) { require(EVP_DigestUpdate(context_.get(), bytes, count) == 1, "SHA-256 failed"); }
  std::string hex() {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    require(EVP_DigestFinal_ex(context_.get(), digest, &size) == 1, "SHA-256 failed");
    std::string text;
    for (unsigned int i = 0; i < size; ++i) {
      for (const int nibble : {digest[i] >> 4, digest[i] & 15}) text += "0123456789abcdef"[nibble];
    }
    return text;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_{EVP_MD_CTX_new(), &EVP_MD_CTX_free};
};

std::string dump(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

std::uint32_t crc_of(const std::string& text) {
  return static_cast<std::uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(text.data()), static_cast<uInt>(text.size())));
}

json key_json(const JournalKey& key) {
  return {{"input", key.input}, {"size", key.size}, {"modified_ns", key.modified_ns}, {"model", key.model_hash},
          {"options", key.options_hash}};
}

JournalKey key_from(const json& value) {
  return {.input = value.at("input"), .size = value.at("size"), .modified_ns = value.at("modified_ns"), .model_hash = value.at("model"),
          .options_hash = value.at("options")};
}

[[noreturn]] void fail_write(const fs::path& file) {
  throw Error(ErrorKind::kEnvironment, file.string() + ": cannot write: " + std::strerror(errno));
}

void append_durably(const fs::path& file, const std::string& line) {
  const int descriptor = ::open(file.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor < 0) fail_write(file);
  const std::unique_ptr<const int, void (*)(const int*)> closer(&descriptor, [](const int* opened) { ::close(*opened); });
  // A line that an earlier run left torn must not swallow this one.
  char last = '\n';
  const off_t size = ::lseek(descriptor, 0, SEEK_END);
  if (size > 0 && ::pread(descriptor, &last, 1, size - 1) != 1) fail_write(file);
  const std::string text = (last == '\n' ? "" : "\n") + line + "\n";
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t written = ::write(descriptor, text.data() + done, text.size() - done);
    if (written < 0 && errno != EINTR) fail_write(file);
    if (written > 0) done += static_cast<std::size_t>(written);
  }
  if (::fdatasync(descriptor) != 0) fail_write(file);
}

bool is_as_written(const fs::path& folder, const json& output) {
  std::error_code code;
  const fs::path path = folder / output.at("path").get<std::string>();
  return fs::file_size(path, code) == output.at("size").get<std::uintmax_t>() && !code && sha256_of_file(path) == output.at("sha256");
}

}  // namespace

JournalKey journal_key(const fs::path& input, const std::string& model_hash, const std::string& options_hash) {
  std::error_code code;
  const auto size = fs::file_size(input, code);
  const auto modified = code ? fs::file_time_type() : fs::last_write_time(input, code);
  if (code) throw Error(ErrorKind::kInput, input.string() + ": " + code.message());
  return {.input = fs::absolute(input).lexically_normal().string(), .size = static_cast<std::int64_t>(size),
          .modified_ns = std::chrono::duration_cast<std::chrono::nanoseconds>(modified.time_since_epoch()).count(),
          .model_hash = model_hash, .options_hash = options_hash};
}

std::string sha256_of_text(const std::string& text) {
  Sha256 hash;
  hash.add(text.data(), text.size());
  return hash.hex();
}

std::string sha256_of_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  Sha256 hash;
  std::vector<char> buffer(std::size_t{1} << 20);
  while (file) {
    file.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
    hash.add(buffer.data(), static_cast<std::size_t>(file.gcount()));
  }
  return file.eof() ? hash.hex() : std::string();
}

Journal::Journal(const fs::path& folder, const std::string& name) : folder_(folder), file_(folder / name) {
  std::error_code code;
  for (fs::directory_iterator it(folder, code), end; !code && it != end; it.increment(code)) {
    const std::string file = it->path().filename().string();
    if (file.starts_with("journal") && file.ends_with(".jsonl")) read(it->path());
  }
}

void Journal::read(const fs::path& file) {
  std::ifstream lines(file);
  for (std::string line; std::getline(lines, line);) {
    const json value = json::parse(line, nullptr, /*allow_exceptions=*/false);
    try {
      const json& entry = value.at("entry");
      if (value.at("crc") == crc_of(dump(entry))) earlier_[key_from(entry.at("key"))] = dump(entry);
    } catch (const json::exception&) {
      // Torn or foreign: not written.
    }
  }
}

std::set<fs::path> Journal::written() const {
  std::set<fs::path> paths;
  for (const auto& [key, entry] : earlier_) {
    const json parsed = json::parse(entry);
    for (const json& output : parsed.at("outputs")) paths.insert(output.at("path").get<std::string>());
  }
  return paths;
}

std::optional<json> Journal::verified(const JournalKey& key) const {
  const auto found = earlier_.find(key);
  if (found == earlier_.end()) return std::nullopt;
  const json entry = json::parse(found->second);
  for (const json& output : entry.at("outputs")) {
    if (!is_as_written(folder_, output)) return std::nullopt;
  }
  return entry.at("record");
}

void Journal::add(const JournalKey& key, std::span<const fs::path> outputs, const json& record) {
  json files = json::array();
  for (const fs::path& path : outputs) {
    files.push_back({{"path", path.lexically_relative(folder_).string()}, {"size", fs::file_size(path)}, {"sha256", sha256_of_file(path)}});
  }
  const json entry = {{"key", key_json(key)}, {"outputs", files}, {"record", record}};
  const std::string line = dump({{"crc", crc_of(dump(entry))}, {"entry", entry}});
  const std::scoped_lock lock(mutex_);
  append_durably(file_, line);
}

}  // namespace fovea
