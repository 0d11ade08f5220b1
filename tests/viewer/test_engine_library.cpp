// The engine as the program has it: loaded at run time, beside a program without torch; and its masks against those of `fovea segment`.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

#include "app/viewer/explore/session.h"
#include "core/base/files.h"
#include "core/image/writers.h"
#include "tests/support/temporary_folder.h"
#include "tests/viewer/waves.h"

namespace fovea::explore {
namespace {

void run_fovea_segment(const std::filesystem::path& image, const std::filesystem::path& folder) {
  const std::string command =
      std::string(FOVEA_PROGRAM) + " segment " + image.string() + " -o " + folder.string() + " --model aerial --quiet";
  ASSERT_EQ(std::system(command.c_str()), 0) << command;
}

TEST(EngineLibrary, MasksAreThoseOfFoveaSegment) {
  const test::TemporaryFolder folder;
  const auto image = folder / "scene.png";
  write_png(image, test::waves(203, 150));
  run_fovea_segment(image, folder / "cli");
  const auto engine = load_engine();
  NoProgress progress;
  std::vector<std::uint8_t> classes;
  const auto summary = engine->segment(
      {.image = image, .model = "aerial", .stem = folder / "viewer" / "scene", .outputs = {OutputKind::kMask}},
      [&](const ImageU8& rows) { classes.insert(classes.end(), rows.samples().begin(), rows.samples().end()); }, progress, {});
  ASSERT_EQ(summary.files.size(), 1u);
  const auto expected = read_text_file(folder / "cli" / "scene_mask.png");
  EXPECT_GT(expected.size(), 100u);
  EXPECT_EQ(read_text_file(summary.files[0]), expected);
  const auto mask = read_index_mask(folder / "cli" / "scene_mask.png");
  EXPECT_TRUE(std::equal(classes.begin(), classes.end(), mask.samples().begin(), mask.samples().end()));
  EXPECT_FALSE(summary.model->hash.empty());
}

TEST(EngineLibrary, ARegionIsSegmentedAsTheCutOutImage) {
  const test::TemporaryFolder folder;
  const auto image = folder / "scene.png", cut_file = folder / "cut.png";
  const ImageU8 whole = test::waves(203, 150);
  write_png(image, whole);
  ImageU8 cut(120, 64, 3);
  for (std::int64_t y = 0; y < 64; ++y) std::copy_n(whole.row(y + 20) + 3 * 40, 3 * 120, cut.row(y));
  write_png(cut_file, cut);
  run_fovea_segment(cut_file, folder / "cli");
  const auto engine = load_engine();
  NoProgress progress;
  std::vector<std::uint8_t> classes;
  engine->segment({.image = image, .model = "aerial", .region_level0 = Rect{40, 20, 120, 64}},
                  [&](const ImageU8& rows) { classes.insert(classes.end(), rows.samples().begin(), rows.samples().end()); }, progress, {});
  const auto mask = read_index_mask(folder / "cli" / "cut_mask.png");
  EXPECT_TRUE(std::equal(classes.begin(), classes.end(), mask.samples().begin(), mask.samples().end()));
}

TEST(EngineLibrary, Loads) { EXPECT_NE(load_engine(), nullptr); }

// GDAL brings a plain libblas into this program as into fovea-view. Its sgemm is thirty times slower than torch's own.
TEST(EngineLibrary, TorchMultipliesWithItsOwnBlas) {
  const std::string self = std::filesystem::read_symlink("/proc/self/exe");
  const std::string command =
      "LD_BIND_NOW=1 LD_DEBUG=bindings " + self + " --gtest_filter=EngineLibrary.Loads 2>&1 |"
      " grep 'binding file [^ ]*libtorch_cpu.so .*symbol .sgemm_'";
  FILE* pipe = popen(command.c_str(), "r");
  ASSERT_NE(pipe, nullptr);
  std::string lines;
  for (char part[512]; std::fgets(part, sizeof part, pipe) != nullptr;) lines += part;
  pclose(pipe);
  ASSERT_NE(lines.find("binding file"), std::string::npos);
  EXPECT_EQ(lines.find("libblas"), std::string::npos) << lines;
}

TEST(EngineLibrary, ASessionOnTheShippedModel) {
  const test::TemporaryFolder folder;
  const auto image = folder / "scene.png";
  write_png(image, test::waves(160, 120));
  Session session(load_engine, [] {});
  session.encode({.image = image, .model = "aerial"});
  session.ask(Lane::kPick, {{.method = "row", .tokens = {.box = TokenBox{7, 9, 1, 1}}}});
  for (int i = 0; i < 60000 && session.busy(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  ASSERT_EQ(session.encoding().error, "");
  const auto lane = session.lane(Lane::kPick);
  ASSERT_EQ(lane.replies.size(), 1u) << lane.error;
  EXPECT_NEAR(lane.replies[0]->grid_total + lane.replies[0]->global_total, 1, 1e-6);
  session.encode({.image = image, .model = (folder / "nothing").string()});
  for (int i = 0; i < 60000 && session.busy(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_NE(session.encoding().error.find("nothing"), std::string::npos);
}

}  // namespace
}  // namespace fovea::explore
