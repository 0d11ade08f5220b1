// The engine behind engine.h on libtorch. Only it and its .cpp files know torch.
#pragma once

#include <memory>
#include <optional>
#include <type_traits>

#include "app/viewer/explore/engine.h"
#include "app/viewer/explore/engine_errors.h"
#include "core/attention/analysis/probe.h"
#include "core/attention/analysis/query.h"
#include "core/attention/torch_threads.h"
#include "core/base/torch.h"

namespace fovea::explore {

struct RegionPlan;

class TorchEngine : public Engine {
 public:
  TorchEngine() = default;
  // With a model that is at hand already, under the name "given": tests.
  explicit TorchEngine(std::shared_ptr<SegmentationModel> model);

  std::shared_ptr<const ModelSummary> load(const std::string& model, const std::string& device) override {
    return guarded("load", {}, [&] { return load_or_find(model, device); });
  }
  Encoded encode(const EncodeRequest& request, Progress& progress, const std::stop_token& stop) override {
    return guarded("encode", stop, [&] { return encode_region(request, progress, stop); });
  }
  void forget() override { probe_.reset(); }
  Reply answer(const Question& question, Progress& progress, const std::stop_token& stop) override {
    return guarded("encode", stop, [&] { return answer_question(question, progress, stop); });
  }
  SegmentSummary segment(const SegmentRequest& request, const ClassRows& rows, Progress& progress, const std::stop_token& stop) override {
    return guarded("segment", stop, [&] { return segment_region(request, rows, progress, stop); });
  }

  Trouble trouble() const override { return trouble_; }
  std::int64_t fitting_side() const override { return fitting_side_; }

  // What encode() made; nullptr before.
  analysis::AttentionProbe* probe() { return probe_.get(); }

 private:
  // A stop ends it within a layer, not only between two.
  template <class Work>
  std::invoke_result_t<Work&> guarded(const char* what, const std::stop_token& stop, Work&& work) {
    const StoppableTorchThreads stoppable(stop);
    try {
      return with_device_errors(what, trouble_, work);
    } catch (const Error&) {
      if (trouble_ == Trouble::kDeviceLost) abandon_device();
      throw;
    }
  }
  void abandon_device();
  std::shared_ptr<const ModelSummary> load_or_find(const std::string& model, const std::string& device);
  void require_fits(const RegionPlan& plan, const std::string& name);
  Encoded encode_region(const EncodeRequest& request, Progress& progress, const std::stop_token& stop);
  Reply answer_question(const Question& question, Progress& progress, const std::stop_token& stop);
  SegmentSummary segment_region(const SegmentRequest& request, const ClassRows& rows, Progress& progress, const std::stop_token& stop);
  void adopt(std::shared_ptr<SegmentationModel> model, const std::string& name, const std::string& device, const std::string& hash);
  analysis::Answer row_with_window(const Question& question, const analysis::Query& query);
  Reply kept_mass_around(const Question& question);

  std::shared_ptr<SegmentationModel> model_;
  std::shared_ptr<const ModelSummary> summary_;
  std::string device_name_;                    // as asked for
  std::unique_ptr<analysis::AttentionProbe> probe_;
  TokenBox asked_;                             // of the probe's grid: without the margin
  std::int64_t rollout_budget_bytes_ = 0;      // of the memory that was free when it had been encoded
  Trouble trouble_ = Trouble::kNone;           // of the last call
  std::int64_t fitting_side_ = 0;              // of the last encoding
};

// A question in the terms of core/attention/analysis.
analysis::Query to_query(const Question& question);

}  // namespace fovea::explore
