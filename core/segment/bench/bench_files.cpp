#include "core/segment/bench/bench_files.h"

#include <algorithm>
#include <fstream>

#include "core/image/writers.h"
#include "core/segment/batch.h"
#include "core/segment/bench/synthetic_image.h"
#include "core/segment/stage_clock.h"

namespace fovea {
namespace {

constexpr std::int64_t kRowsAtOnce = 512;

template <class Append>
void for_all_rows(ImageSource& source, const Append& append) {
  const ImageInfo& info = source.info();
  for (std::int64_t y = 0; y < info.height; y += kRowsAtOnce) {
    append(source.read_rgb({0, y, info.width, std::min(kRowsAtOnce, info.height - y)}));
  }
}

class MeanOfRecords final : public BatchObserver {
 public:
  void report(std::string_view, std::int64_t, std::int64_t) override {}
  void image_started(const std::filesystem::path&, std::int64_t, std::int64_t) override {}
  void image_done(const ImageRecord& record) override {
    ++images_;
    for (const auto& [stage, seconds] : record.stage_seconds) sums_[stage] += seconds;
  }
  void image_kept(const std::filesystem::path&, std::int64_t, std::int64_t) override {}
  void image_failed(const ImageFailure&) override {}
  void notice(const std::string&) override {}
  StageSeconds stage_seconds() const {
    StageSeconds means = sums_;
    for (auto& [stage, seconds] : means) seconds /= static_cast<double>(images_);
    return means;
  }

 private:
  StageSeconds sums_;
  std::int64_t images_ = 0;
};

}  // namespace

bool segment_bench_has_files() { return true; }

void write_bench_image(const std::filesystem::path& file, SegmentBenchSource kind, const SegmentBenchOptions::Size& size) {
  SyntheticImage image(size.width, size.height);
  if (kind == SegmentBenchSource::kTiff) {
    const auto writer = create_rgb_tiff_writer({.path = file, .width = size.width, .height = size.height, .overviews = false});
    for_all_rows(image, [&](const ImageU8& rows) { writer->append(rows); });
    return writer->finish();
  }
  const auto writer = create_overlay_writer({.path = file, .width = size.width, .height = size.height});
  if (writer->shrink_factor() != 1) throw Error(ErrorKind::kUsage, "a JPEG cannot hold an image of this size; --sources tiff");
  for_all_rows(image, [&](const ImageU8& rows) { writer->append(rows); });
  writer->finish();
}

FileTimes time_reading(const std::filesystem::path& file) {
  StageClock clock;
  std::ifstream bytes(file, std::ios::binary);
  std::vector<char> buffer(std::size_t{1} << 22);
  while (bytes) bytes.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
  clock.charge("read");
  const auto source = open_image(file);
  for_all_rows(*source, [](const ImageU8&) {});
  clock.charge("decode");
  return {.read_seconds = clock.seconds().at("read"), .decode_seconds = clock.seconds().at("decode")};
}

FileRun segment_bench_file(const BenchFile& file, SegmentationModel& model, const SegmentOptions& options, const std::stop_token& stop) {
  BatchOptions batch;
  for (std::int64_t i = 0; i < file.images; ++i) {
    batch.files.push_back(file.path);
    batch.names.push_back(file.path.stem() += file.images > 1 ? "_" + std::to_string(i) : "");
  }
  batch.folder = file.path.parent_path();
  batch.segment = options;
  MeanOfRecords observer;
  BatchReport report;
  run_batch(batch, model, observer, stop, report);
  if (!report.failures.empty()) throw Error(ErrorKind::kInput, report.failures.front().message);
  return {.stage_seconds = observer.stage_seconds(), .seconds = report.seconds};
}

}  // namespace fovea
