// What a folder run has finished, in a file that survives being killed at any moment.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>

#include <nlohmann/json.hpp>

namespace fovea {

// The same key means the same outputs, byte for byte.
struct JournalKey {
  std::string input;             // absolute path
  std::int64_t size = 0;         // bytes
  std::int64_t modified_ns = 0;  // since the epoch of the file system's clock
  std::string model_hash, options_hash;
  auto operator<=>(const JournalKey&) const = default;
};
// Errors: Error{kInput} "FILE: REASON".
JournalKey journal_key(const std::filesystem::path& input, const std::string& model_hash, const std::string& options_hash);

std::string sha256_of_text(const std::string& text);
std::string sha256_of_file(const std::filesystem::path& path);   // "" if it cannot be read

// Append-only JSON lines {"crc": CRC-32 of the dump of entry, "entry": {key, outputs with size and SHA-256, record}}. A line that is torn,
// or fails its CRC, counts as not written. Several shards of a run have a journal each in the same folder; all are read.
// Any thread may call.
class Journal {
 public:
  // folder: of the outputs; name: this run's file in it, "journal.jsonl" or "journal-2-of-8.jsonl". Reads folder/journal*.jsonl.
  Journal(const std::filesystem::path& folder, const std::string& name);

  // The record of an input that earlier runs finished and whose outputs are still what was written: sizes and hashes are checked.
  std::optional<nlohmann::json> verified(const JournalKey& key) const;

  // What earlier runs wrote, as paths below the folder.
  std::set<std::filesystem::path> written() const;

  // On disk when it returns. outputs: files below folder. Errors: Error{kEnvironment}.
  void add(const JournalKey& key, std::span<const std::filesystem::path> outputs, const nlohmann::json& record);

 private:
  void read(const std::filesystem::path& file);

  std::filesystem::path folder_, file_;
  std::mutex mutex_;                              // of the file
  std::map<JournalKey, std::string> earlier_;     // entries as text: objects of a long journal would take several times as much
};

}  // namespace fovea
