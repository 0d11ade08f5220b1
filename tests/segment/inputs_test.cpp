#include "core/segment/inputs.h"
#include "tests/support/temporary_folder.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

namespace fovea {
namespace {

namespace fs = std::filesystem;

class Inputs : public ::testing::Test {
 protected:
  fs::path file(const std::string& name) const {
    fs::create_directories((root_ / name).parent_path());
    std::ofstream(root_ / name) << "x";
    return root_ / name;
  }
  InputList expand(const std::vector<std::string>& inputs) const { return expand_inputs(inputs, root_ / "out"); }

  const test::TemporaryFolder temporary_;
  const fs::path root_ = temporary_.path();
};

TEST_F(Inputs, FolderIsSearchedInOrderWithoutHiddenFilesAndTheOutputFolder) {
  const auto b = file("b.png"), a = file("a.JPG"), nested = file("c/z.tif");
  file(".hidden.png"), file("notes.txt"), file("out/a_mask.png"), file(".git/x.png");
  const auto list = expand({root_.string()});
  EXPECT_EQ(list.files, (std::vector<fs::path>{a, b, nested}));
  EXPECT_TRUE(list.failures.empty());
}

TEST_F(Inputs, AFileNamedTwiceIsTakenOnce) {
  const auto a = file("a.png");
  const auto list = expand({a.string(), root_.string(), (root_ / "*.png").string()});
  EXPECT_EQ(list.files, std::vector<fs::path>{a});
  EXPECT_TRUE(list.failures.empty());
}

TEST_F(Inputs, WhatYieldsNothingIsNamed) {
  fs::create_directories(root_ / "empty");
  const auto list = expand({(root_ / "empty").string(), (root_ / "gone.png").string(), (root_ / "*.tif").string()});
  ASSERT_EQ(list.failures.size(), 3u);
  EXPECT_EQ(list.failures[0], (root_ / "empty").string() + ": no images in this folder");
  EXPECT_EQ(list.failures[1], (root_ / "gone.png").string() + ": no such file or folder");
  EXPECT_EQ(list.failures[2], (root_ / "*.tif").string() + ": no file matches");
  file("out/a.png");
  EXPECT_EQ(expand({(root_ / "out/").string()}).failures,
            std::vector<std::string>{(root_ / "out/").string() + ": is the output folder, where no images are looked for"});
}

TEST_F(Inputs, ResultsOfEarlierRunsAreLeftOut) {
  const auto a = file("a.png"), mask = file("a_mask.png"), other = file("elsewhere/a_mask.png");
  const auto results = [] { return std::set<fs::path>{"a_mask.png", "b_mask.png"}; };
  InputList list{.files = {a, mask, other}, .failures = {}};
  EXPECT_EQ(leave_out_results(list, root_, results), 1u);
  EXPECT_EQ(list.files, (std::vector<fs::path>{a, other}));
  EXPECT_EQ(leave_out_results(list, root_ / "empty", [&]() -> std::set<fs::path> { throw std::logic_error("nobody asks"); }), 0u);
  EXPECT_EQ(list.files.size(), 2u);
}

TEST_F(Inputs, LinksToNowhereAreNamed) {
  const auto good = file("good.png"), link = root_ / "link.png", loop = root_ / "loop.png";
  fs::create_symlink(root_ / "gone.png", link);
  fs::create_symlink(loop, loop);
  for (const auto& inputs : {std::vector<std::string>{root_.string()}, {link.string(), loop.string(), good.string()}, {(root_ / "*.png").string()}}) {
    const auto list = expand(inputs);
    EXPECT_EQ(list.files, std::vector<fs::path>{good});
    ASSERT_EQ(list.failures.size(), 2u);
    EXPECT_EQ(list.failures[0], link.string() + ": a link to a file that does not exist");
    EXPECT_EQ(list.failures[1], loop.string() + ": Too many levels of symbolic links");
  }
}

TEST_F(Inputs, APipeIsNotWaitedFor) {
  const fs::path pipe = root_ / "pipe.png";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  const auto list = expand({pipe.string(), "/dev/null"});
  EXPECT_TRUE(list.files.empty());
  EXPECT_EQ(list.failures, (std::vector<std::string>{pipe.string() + ": not a regular file", "/dev/null: not a regular file"}));
}

TEST_F(Inputs, BracketsInAFileNameAreNotAGlob) {
  const auto odd = file("scan[1].png");
  EXPECT_EQ(expand({odd.string()}).files, std::vector<fs::path>{odd});
}

TEST(OutputNames, AreStemsAndKeepFoldersOrExtensionsWhereTheyCollide) {
  const std::vector<fs::path> files{"/d/x/1.tif", "/d/y/1.tif", "/d/2.tif", "/d/3.png", "/d/3.tif", "/d/1.tif"};
  EXPECT_EQ(name_outputs(files), (std::vector<fs::path>{"x/1", "y/1", "2", "3_png", "3_tif", "1"}));
  EXPECT_EQ(name_outputs(std::vector<fs::path>{"a/b.tif"}), std::vector<fs::path>{"b"});
}

}  // namespace
}  // namespace fovea
