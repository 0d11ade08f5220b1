// Memory that runs out and a GPU that is lost, injected where torch throws: in the allocator, under the engine in the session's worker.
// With an NVIDIA GPU also a real one (FOVEA_REQUIRE_GPU=1: fails instead of skipping).
#include <ATen/DeviceAccelerator.h>
#include <c10/core/CPUAllocator.h>
#include <c10/util/Exception.h>
#include <gtest/gtest.h>
#include <torch/cuda.h>

#include <atomic>
#include <cstdlib>
#include <thread>

#include "app/viewer/explore/explore_feature.h"
#include "app/viewer/explore/torch_engine.h"
#include "app/viewer/layers/heat_layer.h"
#include "app/viewer/segment/segment_feature.h"
#include "core/base/torch_runtime.h"
#include "core/image/writers.h"
#include "tests/segment/segment_test_support.h"
#include "tests/support/temporary_folder.h"

namespace fovea::explore {
namespace {

enum class Fault { kNone, kOutOfMemory, kHostMemory, kLost };

// Stands before the CPU's allocator as long as it lives.
class FaultyAllocator final : public c10::Allocator {
 public:
  FaultyAllocator() { c10::SetCPUAllocator(this, kPriority); }
  ~FaultyAllocator() override { c10::SetCPUAllocator(original_, kPriority); }

  c10::DataPtr allocate(std::size_t bytes) override {
    if (bytes >= kLarge) fail();   // small ones belong to what handles the failure
    return original_->allocate(bytes);
  }
  c10::DeleterFnPtr raw_deleter() const override { return original_->raw_deleter(); }
  void copy_data(void* to, const void* from, std::size_t count) const override { default_copy_data(to, from, count); }

  std::atomic<Fault> fault = Fault::kNone;

 private:
  static constexpr std::uint8_t kPriority = 100;
  static constexpr std::size_t kLarge = 4096;
  // In torch's own words.
  void fail() const {
    switch (fault) {
      case Fault::kNone: return;
      case Fault::kOutOfMemory:
        TORCH_CHECK_WITH(OutOfMemoryError, false, "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.18 GiB of "
                                                  "which 405.39 MiB is free. Including non-PyTorch memory, this process has 78.7 GiB in use.");
      case Fault::kHostMemory:
        TORCH_CHECK(false, "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate "
                           "8589934592 bytes. Error code 12 (Cannot allocate memory)");
      case Fault::kLost: TORCH_CHECK(false, "CUDA error: an illegal memory access was encountered\nCUDA kernel errors might be asynchronous");
    }
  }
  c10::Allocator* const original_ = c10::GetCPUAllocator();
};

class DeviceTroubleTest : public testing::Test {
 protected:
  DeviceTroubleTest() {
    write_png(image, test::sample_image(200, 150));
    save_model(*test::small_model({.global_tokens = 2}), model, torch::kFloat32);
    workspace.image = OpenImage{image, open_image(image)->info(), "ab12"};
    workspace.camera.set_canvas({400, 300});
    workspace.camera.set_image({200, 150});
    workspace.camera.jump_to_target();
    workspace.model.choose(model.string());
  }
  ~DeviceTroubleTest() override { ImGui::DestroyContext(context); }

  void frame() {
    for (const auto& every_frame : workspace.every_frame) every_frame();
  }
  void settle() {
    frame();
    for (int i = 0; i < 30000 && (attention.busy() || segmentation.busy()); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      frame();
    }
    frame();
    ASSERT_FALSE(attention.busy() || segmentation.busy());
  }
  // Both features share a model that one of them holds.
  void load() {
    attention.encode_view();
    settle();
    ASSERT_EQ(error(), "");
  }
  void click(Point at) {
    for (const CanvasPhase phase : {CanvasPhase::kPress, CanvasPhase::kRelease, CanvasPhase::kClick}) {
      workspace.tools.active().tool->handle({.phase = phase, .image = at, .start = at, .modifiers = 0});
    }
  }
  std::string error() const { return workspace.messages.last_error(); }
  bool said(std::string_view part) const { return error().find(part) != std::string::npos; }
  // Presses the button of the latest message, as the window does.
  bool press(const std::string& label) {
    const auto shown = workspace.messages.shown();
    if (shown.empty() || !shown.back()->action || shown.back()->action->label != label) return false;
    const auto run = shown.back()->action->run;
    workspace.messages.dismiss_all();
    run();
    return true;
  }

  ImGuiContext* context = ImGui::CreateContext();   // key names
  test::TemporaryFolder folder;
  std::filesystem::path image = folder / "waves.png", model = folder / "model";
  Workspace workspace{TileServices{}};
  Session::MakeEngine make_engine = [] { return std::make_unique<TorchEngine>(); };
  ExploreFeature attention{workspace, make_engine, folder / "maps"};
  SegmentFeature segmentation{workspace, make_engine, folder / "segmentations"};
  FaultyAllocator allocator;   // last: ends before what it allocated for
};

TEST_F(DeviceTroubleTest, ARegionThatDoesNotFitCanBeEncodedOnTheCpu) {
  load();
  allocator.fault = Fault::kOutOfMemory;
  attention.encode_image();
  settle();
  EXPECT_EQ(error(), "not enough memory on the device: needs 2.00 GiB more, but only 405.39 MiB of 79.18 GiB are free; zoom in and encode a smaller part, "
                     "or let the CPU do it");
  EXPECT_EQ(attention.explorer().encoded(), nullptr);
  allocator.fault = Fault::kNone;
  ASSERT_TRUE(press("Encode on the CPU"));
  settle();
  EXPECT_EQ(error(), "");
  EXPECT_EQ(workspace.model.device, "cpu");
  ASSERT_NE(attention.explorer().encoded(), nullptr);
  EXPECT_TRUE(attention.explorer().encoded()->whole_image);   // what was asked for before
}

TEST_F(DeviceTroubleTest, AModelThatDoesNotFitIsASentence) {
  allocator.fault = Fault::kHostMemory;
  attention.encode_view();
  settle();
  EXPECT_TRUE(said("config.json: its weights need 0.00 GB of memory, which this process cannot get (") && said("close other programs, or take a smaller model")) << error();
  allocator.fault = Fault::kNone;
  workspace.messages.dismiss_all();
  load();
}

TEST_F(DeviceTroubleTest, HostMemoryThatRunsOutHasNoButtonAndTheProgramGoesOn) {
  load();
  allocator.fault = Fault::kHostMemory;
  attention.encode_view();
  settle();
  EXPECT_EQ(error(), "not enough memory: needs 8.00 GiB more; zoom in and encode a smaller part");
  EXPECT_FALSE(press("Encode on the CPU"));
  allocator.fault = Fault::kNone;
  attention.encode_view();
  settle();
  click({76, 60});
  settle();
  EXPECT_NE(attention.explorer().shown(), nullptr);
}

TEST_F(DeviceTroubleTest, AQuestionThatDoesNotFitKeepsWhatWasEncoded) {
  attention.encode_image();
  settle();
  allocator.fault = Fault::kOutOfMemory;
  click({76, 60});
  workspace.actions.run("attention.method.similarity");   // not small
  settle();
  EXPECT_TRUE(said("not enough memory on the device")) << error();
  EXPECT_NE(attention.explorer().encoded(), nullptr);
  allocator.fault = Fault::kNone;
  workspace.actions.run("attention.method.row");
  settle();
  EXPECT_NE(attention.explorer().shown(), nullptr);
}

TEST_F(DeviceTroubleTest, SegmentingOffersTheCpuToo) {
  load();
  allocator.fault = Fault::kOutOfMemory;
  segmentation.segment_image();
  settle();
  EXPECT_TRUE(said("not enough memory on the device")) << error();
  ASSERT_FALSE(workspace.messages.shown().empty());
  ASSERT_TRUE(workspace.messages.shown().back()->action.has_value());
  EXPECT_EQ(workspace.messages.shown().back()->action->label, "Segment on the CPU");
  EXPECT_FALSE(segmentation.shown().has_value());
}

// Not the last test of this process by chance: whatever comes after a lost GPU runs on the CPU.
TEST_F(DeviceTroubleTest, ALostGpuTakesWhatWasEncodedAndTheCpuGoesOn) {
  attention.encode_image();
  settle();
  ASSERT_NE(attention.explorer().encoded(), nullptr);
  allocator.fault = Fault::kLost;
  click({76, 60});
  workspace.actions.run("attention.method.similarity");
  settle();
  EXPECT_EQ(error(), "the GPU does not answer any more (CUDA error: an illegal memory access was encountered); from now on the CPU is used, start again to "
                     "use the GPU");
  EXPECT_EQ(attention.explorer().encoded(), nullptr);
  workspace.model.device = "cuda";
  allocator.fault = Fault::kNone;
  attention.encode_image();
  settle();
  EXPECT_TRUE(said("cuda: does not answer any more; start the program again")) << error();
  workspace.model.device = "auto";
  attention.encode_image();
  settle();
  ASSERT_NE(attention.explorer().encoded(), nullptr);
  EXPECT_EQ(attention.explorer().encoded()->model->device, "cpu");
  click({76, 60});
  workspace.actions.run("attention.method.row");
  settle();
  ASSERT_NE(attention.explorer().shown(), nullptr);
  EXPECT_NEAR(attention.explorer().shown()->grid_total + attention.explorer().shown()->global_total, 1, 1e-5);
}

// A real one, in a process of its own: --gtest_filter=RealGpu.* on a machine that has one.
TEST(RealGpu, OutOfMemoryThenLost) {
  if (const std::string reason = load_torch_cuda(); !reason.empty()) {
    if (std::getenv("FOVEA_REQUIRE_GPU")) FAIL() << reason;
    GTEST_SKIP() << reason;
  }
  test::TemporaryFolder folder;
  const auto image = folder / "waves.png", model = folder / "model";
  write_png(image, test::sample_image(200, 150));
  save_model(*test::small_model({.global_tokens = 2}), model, torch::kFloat32);
  TorchEngine engine;
  NoProgress progress;
  const EncodeRequest request{.image = image, .model = model.string()};
  const Question row{.method = "row", .tokens = {.box = TokenBox{7, 9, 1, 1}}};
  {
    std::vector<torch::Tensor> hoard;   // all of the memory, in pieces that shrink
    for (std::int64_t bytes = std::int64_t{16} << 30; bytes >= (1 << 20);) {
      try {
        hoard.push_back(torch::empty({bytes}, torch::dtype(torch::kUInt8).device(torch::kCUDA)));
      } catch (const c10::Error&) {
        bytes /= 2;
      }
    }
    write_png(image, test::sample_image(2000, 1500));
    EXPECT_THROW(engine.encode(request, progress, {}), Error);
    EXPECT_EQ(engine.trouble(), Trouble::kDeviceMemory);
  }
  at::accelerator::emptyCache();   // the hoard
  write_png(image, test::sample_image(200, 150));
  EXPECT_EQ(engine.encode(request, progress, {}).model->device, "cuda:0");
  EXPECT_NEAR(engine.answer(row, progress, {}).grid_total, 1, 1);
  try {   // a kernel that writes where no memory is ends the context
    constexpr std::uintptr_t kNowhere = 1 << 12;
    const torch::Device gpu(torch::kCUDA, 0);
    auto nowhere = at::for_blob(reinterpret_cast<void*>(kNowhere), {16}).options(torch::dtype(torch::kFloat32).device(gpu)).target_device(gpu).make_tensor();
    nowhere.fill_(1);
    torch::cuda::synchronize();
    FAIL() << "the GPU survived it";
  } catch (const c10::Error&) {
  }
  EXPECT_THROW(engine.answer({.method = "similarity", .tokens = row.tokens}, progress, {}), Error);
  EXPECT_EQ(engine.trouble(), Trouble::kDeviceLost);
  const Encoded again = engine.encode(request, progress, {});
  EXPECT_EQ(again.model->device, "cpu");
  const Reply reply = engine.answer(row, progress, {});
  EXPECT_NEAR(reply.grid_total + reply.global_total, 1, 1e-5);
  EXPECT_EQ(engine.trouble(), Trouble::kNone);
}

}  // namespace
}  // namespace fovea::explore
