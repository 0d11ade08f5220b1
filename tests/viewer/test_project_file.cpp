#include "app/viewer/project/project_file.h"

#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/base/files.h"
#include "tests/support/temporary_folder.h"

namespace fovea {
namespace {

TEST(ProjectFile, ComesBackAsItWasSavedAndMovesWithItsFolder) {
  const test::TemporaryFolder folder;
  std::filesystem::create_directories(folder / "a/images");
  const ProjectFile project{folder / "a/images/scene.tif", "0123abcd", {{"layers", nlohmann::json::array()}, {"view", {{"zoom", 2.5}}}}};
  save_project(folder / "a/work.fovea", project);
  const auto stored = nlohmann::json::parse(read_text_file(folder / "a/work.fovea"));
  EXPECT_EQ(stored["image"], "images/scene.tif");
  std::filesystem::rename(folder / "a", folder / "b");
  const ProjectFile loaded = load_project(folder / "b/work.fovea");
  EXPECT_EQ(loaded.image, folder / "b/images/scene.tif");
  EXPECT_EQ(loaded.image_key, "0123abcd");
  EXPECT_EQ(loaded.sections, project.sections);
}

TEST(ProjectFile, GarbageIsRefusedInOneLineThatNamesTheFile) {
  const test::TemporaryFolder folder;
  const std::filesystem::path path = folder / "spoilt.fovea";
  const std::string deep(100000, '[');
  for (const std::string& text : {std::string(), std::string("{"), std::string("[]"), std::string("\x00\xff\xfe", 3), deep, std::string(R"({"format":"fovea-project/2","image":"a.png"})"),
                                  std::string(R"({"format":"fovea-project/1"})"), std::string(R"({"format":"fovea-project/1","image":7})"), std::string(R"({"format":["x"],"image":"a"})")}) {
    write_file_atomically(path, text);
    try {
      load_project(path);
      ADD_FAILURE() << text.substr(0, 40);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInput) << error.what();
      EXPECT_NE(std::string(error.what()).find("spoilt.fovea"), std::string::npos) << error.what();
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
    }
  }
  EXPECT_THROW(load_project(folder / "missing.fovea"), Error);
}

TEST(ProjectFile, ACrashedProcessLeavesItsAutosave) {
  const test::TemporaryFolder folder;
  EXPECT_TRUE(find_abandoned_autosave(folder / "nothing").empty());
  const std::filesystem::path autosaves = folder / "autosaves";
  save_autosave(own_autosave(autosaves), {folder / "scene.tif", "ff", {{"a", 1}}}, folder / "work.fovea");
  EXPECT_TRUE(find_abandoned_autosave(autosaves).empty());   // this process lives
  const pid_t child = fork();
  if (child == 0) {
    save_autosave(own_autosave(autosaves), {folder / "other.tif", "ee", {{"a", 2}}}, "");
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  const auto abandoned = find_abandoned_autosave(autosaves);
  ASSERT_FALSE(abandoned.empty());
  const Autosave saved = load_autosave(abandoned);
  EXPECT_EQ(saved.project.image, folder / "other.tif");
  EXPECT_EQ(saved.project.sections["a"], 2);
  EXPECT_TRUE(saved.project_path.empty());
  EXPECT_EQ(load_autosave(own_autosave(autosaves)).project_path, folder / "work.fovea");
}

}  // namespace
}  // namespace fovea
