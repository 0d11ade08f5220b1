#include "core/segment/bench/step_profile.h"

#include <torch/csrc/autograd/profiler_kineto.h>

#include <algorithm>
#include <map>

#include "core/segment/device_work.h"
#include "core/segment/stage_clock.h"

namespace fovea {
namespace {

using torch::autograd::profiler::KinetoEvent;
using Activity = torch::profiler::impl::ActivityType;

struct Interval {
  std::uint64_t begin = 0, end = 0;   // ns
  std::string name;
};

// Of one thread; operations nest. Adds to each what it did outside the operations within.
void add_own_times(std::vector<Interval> intervals, std::map<std::string, ProfileEntry>& entries) {
  std::ranges::sort(intervals, [](const Interval& a, const Interval& b) { return a.begin != b.begin ? a.begin < b.begin : a.end > b.end; });
  std::vector<const Interval*> open;
  for (const Interval& interval : intervals) {
    const double seconds = static_cast<double>(interval.end - interval.begin) * 1e-9;
    while (!open.empty() && open.back()->end <= interval.begin) open.pop_back();
    if (!open.empty()) entries[open.back()->name].seconds -= seconds;
    ProfileEntry& entry = entries[interval.name];
    entry.seconds += seconds;
    ++entry.calls;
    open.push_back(&interval);
  }
}

void add_device_times(const std::vector<Interval>& intervals, std::map<std::string, ProfileEntry>& entries) {
  for (const Interval& interval : intervals) {
    ProfileEntry& entry = entries[interval.name];
    entry.seconds += static_cast<double>(interval.end - interval.begin) * 1e-9;
    ++entry.calls;
  }
}

}  // namespace

StepProfile profile_steps(torch::Device device, const std::function<void()>& work) {
  namespace profiler = torch::autograd::profiler;
  const torch::profiler::impl::ProfilerConfig config(torch::profiler::impl::ProfilerState::KINETO);
  std::set<Activity> activities{Activity::CPU};
  if (!device.is_cpu()) activities.insert(Activity::CUDA);
  profiler::prepareProfiler(config, activities);
  profiler::enableProfiler(config, activities);
  StageClock clock;
  work();
  finish_device_work(device);
  clock.charge("all");
  const auto result = profiler::disableProfiler();

  std::map<std::uint64_t, std::vector<Interval>> threads;
  for (const KinetoEvent& event : result->events()) {
    if (event.deviceType() != device.type() || event.isHiddenEvent()) continue;
    threads[device.is_cpu() ? event.startThreadId() : 0].push_back({event.startNs(), event.endNs(), event.name()});
  }
  std::map<std::string, ProfileEntry> entries;
  for (auto& [thread, intervals] : threads) device.is_cpu() ? add_own_times(std::move(intervals), entries) : add_device_times(intervals, entries);
  StepProfile profile{.entries = {}, .busy_seconds = 0, .wall_seconds = clock.seconds().at("all")};
  for (auto& [name, entry] : entries) {
    entry.name = name;
    profile.busy_seconds += entry.seconds;
    profile.entries.push_back(std::move(entry));
  }
  std::ranges::sort(profile.entries, std::greater<>{}, &ProfileEntry::seconds);
  return profile;
}

}  // namespace fovea
