#include "core/image/text_file.h"

#include <cerrno>
#include <charconv>
#include <cstring>

#include "core/image/write_error.h"

namespace fovea {

GrowingTextFile::GrowingTextFile(const std::filesystem::path& target)
    : target_(target), atomic_(target), file_(std::fopen(atomic_.path().c_str(), "wbe")) {
  if (!file_) fail_write(target_, std::strerror(errno));
}

void GrowingTextFile::append(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), file_.get()) != text.size()) fail_write(target_, std::strerror(errno));
}

void GrowingTextFile::commit() {
  if (std::fflush(file_.get()) != 0) fail_write(target_, std::strerror(errno));
  file_.reset();
  atomic_.commit();
}

std::string to_json_number(double value) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  return {text, end};
}

}  // namespace fovea
