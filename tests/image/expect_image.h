// Comparisons that say where images differ, and errors that must be one line about the right file.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <string>

#include "core/image/image.h"

namespace fovea::test {

inline ::testing::AssertionResult same_pixels(const ImageU8& got, const ImageU8& expected) {
  if (got.width() != expected.width() || got.height() != expected.height() || got.channels() != expected.channels()) {
    return ::testing::AssertionFailure() << "size " << got.width() << " x " << got.height() << " x " << got.channels() << ", expected "
                                         << expected.width() << " x " << expected.height() << " x " << expected.channels();
  }
  for (std::size_t i = 0; i < got.samples().size(); ++i) {
    if (got.samples()[i] == expected.samples()[i]) continue;
    const auto pixel = static_cast<std::int64_t>(i) / got.channels();
    return ::testing::AssertionFailure() << "at x " << pixel % got.width() << ", y " << pixel / got.width() << ", channel "
                                         << static_cast<std::int64_t>(i) % got.channels() << ": " << int{got.samples()[i]} << ", expected "
                                         << int{expected.samples()[i]};
  }
  return ::testing::AssertionSuccess();
}

inline ImageU8 crop_of(const ImageU8& image, Rect rect) {
  ImageU8 part(rect.width, rect.height, image.channels());
  for (std::int64_t y = 0; y < rect.height; ++y) {
    const auto* from = image.row(rect.y + y) + rect.x * image.channels();
    std::copy(from, from + rect.width * image.channels(), part.row(y));
  }
  return part;
}

// The message behind "PATH: " of the Error that the action throws; the test fails if it throws none, another kind, or several lines.
inline std::string complaint(ErrorKind kind, const std::filesystem::path& path, const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    const std::string message = error.what(), subject = path.string() + ": ";
    EXPECT_EQ(error.kind(), kind) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    EXPECT_TRUE(message.starts_with(subject)) << message;
    return message.substr(std::min(subject.size(), message.size()));
  }
  ADD_FAILURE() << path << ": no error";
  return {};
}

}  // namespace fovea::test
