#include "core/base/error.h"

namespace fovea {

void require(bool condition, std::string_view message) {
  if (!condition) throw Error(ErrorKind::kContract, std::string(message));
}

std::string first_line(std::string_view text) {
  return std::string(text.substr(0, text.find_first_of("\r\n")));
}

}  // namespace fovea
