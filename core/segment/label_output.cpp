#include "core/segment/label_output.h"

#include <algorithm>
#include <array>

namespace fovea {

LabelOutput::LabelOutput(ImageSource& source, const ModelConfig& config, LabelSink& sink)
    : source_(source),
      sink_(sink),
      nodata_class_(static_cast<std::uint8_t>(config.ignore_index)),
      counts_(256),
      classes_(config.classes.size()) {}

void LabelOutput::append(LabelRows rows) {
  if (may_lack_data(source_.info())) restore_missing(rows);
  count(rows.classes);
  rows_done_ += rows.classes.height();
  sink_.append(std::move(rows));
}

// In several tables: neighbours are mostly equal, and each would wait for the one before to be counted.
void LabelOutput::count(const ImageU8& classes) {
  constexpr std::size_t kTables = 4;
  std::array<std::array<std::int64_t, 256>, kTables> tables{};
  const auto labels = classes.samples();
  const std::size_t whole = labels.size() / kTables * kTables;
  for (std::size_t i = 0; i < whole; i += kTables) {
    for (std::size_t table = 0; table < kTables; ++table) ++tables[table][labels[i + table]];
  }
  for (std::size_t i = whole; i < labels.size(); ++i) ++tables[0][labels[i]];
  for (std::size_t label = 0; label < counts_.size(); ++label) {
    for (const auto& table : tables) counts_[label] += table[label];
  }
}

// No class is probable where there is nothing.
void LabelOutput::restore_missing(LabelRows& rows) {
  const ImageU8 valid = source_.read_valid({0, rows_done_, rows.classes.width(), rows.classes.height()});
  const auto labels = rows.classes.samples(), probabilities = rows.probabilities.samples();
  const auto channels = static_cast<std::size_t>(rows.probabilities.channels());
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (valid.samples()[i] != 0) continue;
    labels[i] = nodata_class_;
    if (!probabilities.empty()) std::fill_n(probabilities.begin() + static_cast<std::ptrdiff_t>(i * channels), channels, std::uint8_t{0});
  }
}

LabelCounts LabelOutput::counts() const {
  LabelCounts counts{.width = source_.info().width, .height = rows_done_, .class_pixels = {}, .nodata_pixels = counts_[nodata_class_]};
  counts.class_pixels.assign(counts_.begin(), counts_.begin() + static_cast<std::ptrdiff_t>(classes_));
  return counts;
}

}  // namespace fovea
