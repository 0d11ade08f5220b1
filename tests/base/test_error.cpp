#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/base/progress.h"

namespace fovea {
namespace {

TEST(Error, CarriesKindAndMessage) {
  const Error error(ErrorKind::kModel, "m/config.json: no such key");
  EXPECT_EQ(error.kind(), ErrorKind::kModel);
  EXPECT_STREQ(error.what(), "m/config.json: no such key");
}

TEST(Error, RequireThrowsOnlyWhenBroken) {
  EXPECT_NO_THROW(require(true, "holds"));
  try {
    require(false, "rows before finish()");
    FAIL() << "require(false) returned";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kContract);
    EXPECT_STREQ(error.what(), "rows before finish()");
  }
}

TEST(Error, FirstLineCutsAtAnyLineEnd) {
  EXPECT_EQ(first_line("one\ntwo"), "one");
  EXPECT_EQ(first_line("one\r\ntwo"), "one");
  EXPECT_EQ(first_line("one"), "one");
  EXPECT_EQ(first_line(""), "");
}

TEST(Progress, StopTokenBecomesCancelledError) {
  std::stop_source source;
  EXPECT_NO_THROW(throw_if_stopped(source.get_token()));
  source.request_stop();
  try {
    throw_if_stopped(source.get_token());
    FAIL() << "a requested stop was not noticed";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kCancelled);
  }
}

}  // namespace
}  // namespace fovea
