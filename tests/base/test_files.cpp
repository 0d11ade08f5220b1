#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "core/base/error.h"
#include "core/base/files.h"
#include "tests/support/temporary_folder.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;

class Files : public ::testing::Test {
 protected:
  std::size_t entries() const { return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder_), fs::directory_iterator())); }

  const test::TemporaryFolder temporary_;
  const fs::path folder_ = temporary_.path();
};

TEST_F(Files, WrittenFileReadsBackAndReplacesTheOldOne) {
  const std::string content("line\n\0binary", 12);
  write_file_atomically(folder_ / "a.txt", "old");
  write_file_atomically(folder_ / "a.txt", content);
  EXPECT_EQ(read_text_file(folder_ / "a.txt"), content);
  EXPECT_EQ(entries(), 1u);
}

TEST_F(Files, WithoutCommitNothingAppearsAndNothingStays) {
  write_file_atomically(folder_ / "a.txt", "old");
  {
    AtomicFile file(folder_ / "a.txt");
    std::ofstream(file.path()) << "half";
    EXPECT_EQ(entries(), 2u);
  }
  EXPECT_EQ(read_text_file(folder_ / "a.txt"), "old");
  EXPECT_EQ(entries(), 1u);
}

TEST_F(Files, TemporaryKeepsFolderAndExtensionAndIsHidden) {
  const AtomicFile first(folder_ / "scene.tif"), second(folder_ / "scene.tif");
  EXPECT_EQ(first.path().parent_path(), folder_);
  EXPECT_EQ(first.path().extension(), ".tif");
  EXPECT_EQ(first.path().filename().string().front(), '.');
  EXPECT_NE(first.path(), second.path());
}

TEST_F(Files, ErrorsNameTheTarget) {
  try {
    write_file_atomically(folder_ / "missing" / "a.txt", "x");
    FAIL() << "wrote into a folder that does not exist";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kEnvironment);
    EXPECT_EQ(std::string(error.what()), (folder_ / "missing" / "a.txt").string() + ": cannot write: No such file or directory");
  }
  EXPECT_THROW(read_text_file(folder_ / "missing.json"), Error);
}

TEST_F(Files, LargeFilesAreRefusedBeforeTheyAreRead) {
  write_file_atomically(folder_ / "a.txt", "0123456789");
  EXPECT_NO_THROW(read_text_file(folder_ / "a.txt", 10));
  EXPECT_THROW(read_text_file(folder_ / "a.txt", 9), Error);
}

}  // namespace
}  // namespace fovea
