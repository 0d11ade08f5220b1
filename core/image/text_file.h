// A text that grows piece by piece and appears whole or not at all.
#pragma once

#include <string>
#include <string_view>

#include "core/base/file_ptr.h"
#include "core/base/files.h"

namespace fovea {

class GrowingTextFile {
 public:
  // Errors of all: Error{kEnvironment} "TARGET: cannot write: ...".
  explicit GrowingTextFile(const std::filesystem::path& target);
  void append(std::string_view text);
  void commit();

 private:
  std::filesystem::path target_;
  AtomicFile atomic_;
  FilePtr file_;   // after the atomic file: closed before that removes it
};

// The shortest decimal that reads back as the same double.
std::string to_json_number(double value);

}  // namespace fovea
