#include "core/image/coco.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "core/image/text_file.h"
#include "core/image/write_error.h"

namespace fovea {
namespace {

constexpr std::int64_t kMaxRuns = std::int64_t{1} << 27;

// The mask of one class while its pixels arrive in column-major order.
class RunLengths {
 public:
  void add(std::uint64_t start, std::uint64_t length) {
    if (length_ > 0 && start == start_ + length_) {
      length_ += length;
      return;
    }
    flush();
    start_ = start, length_ = length;
  }

  // The encoded counts of an image of that many pixels.
  std::string finish(std::uint64_t pixels) {
    flush();
    if (end_ < pixels) emit(pixels - end_);
    return std::move(text_);
  }

  std::uint64_t area() const { return area_ + length_; }

 private:
  void flush() {
    if (length_ == 0) return;
    emit(start_ - end_);   // zeros come first, also if there are none
    emit(length_);
    area_ += length_, end_ = start_ + length_, length_ = 0;
  }

  // pycocotools' rleToString: differences to the last but one count, five bits a character, lowest first, sign extended.
  void emit(std::uint64_t count) {
    std::int64_t value = static_cast<std::int64_t>(count);
    if (emitted_ > 2) value -= static_cast<std::int64_t>(before_[emitted_ % 2]);
    before_[emitted_++ % 2] = count;
    for (bool more = true; more;) {
      const auto bits = static_cast<int>(value & 0x1f);
      value >>= 5;
      more = (bits & 0x10) ? value != -1 : value != 0;
      text_.push_back(static_cast<char>((more ? bits | 0x20 : bits) + 48));
    }
  }

  std::uint64_t start_ = 0, length_ = 0, end_ = 0, area_ = 0;   // the run that may still grow; where the last emitted one ended
  std::array<std::uint64_t, 2> before_{};
  std::size_t emitted_ = 0;
  std::string text_;
};

struct Box {
  std::int64_t left = INT64_MAX, top = INT64_MAX, right = 0, bottom = 0;   // right and bottom behind the last pixel
};

class CocoWriter final : public MaskWriter {
 public:
  explicit CocoWriter(const CocoWriterOptions& options)
      : options_(options), file_(options.path), runs_of_column_(static_cast<std::size_t>(options.width)) {}

  void append(const ImageU8& rows) override {
    require(rows.width() == options_.width && rows.channels() == 1, "rows do not fit the mask");
    require(rows_ + rows.height() <= options_.height, "more rows than the mask has");
    for (std::int64_t y = 0; y < rows.height(); ++y, ++rows_) add_row(rows.row(y));
  }

  void finish() override {
    require(rows_ == options_.height, "the mask lacks rows");
    using nlohmann::json;
    json categories = json::array();
    for (std::size_t i = 0; i < options_.class_names.size(); ++i) categories.push_back({{"id", i + 1}, {"name", options_.class_names[i]}});
    const json image = {{"id", 1}, {"file_name", options_.image_file_name}, {"width", options_.width}, {"height", options_.height}};
    file_.append("{\"images\":[" + dump(image) + "],\n\"categories\":" + dump(categories) + ",\n\"annotations\":[");
    write_annotations();
    file_.append("]}\n");
    file_.commit();
  }

 private:
  struct Run {
    std::uint32_t start;
    std::uint32_t index;
  };

  // Names of files and classes may be in any encoding; JSON is UTF-8.
  static std::string dump(const nlohmann::json& value) { return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace); }

  void add_row(const std::uint8_t* row) {
    for (std::int64_t x = 0; x < options_.width; ++x) {
      auto& runs = runs_of_column_[static_cast<std::size_t>(x)];
      if (!runs.empty() && runs.back().index == row[x]) continue;
      const bool known = row[x] < options_.class_names.size() || row[x] == options_.ignore_index;
      require(known, "a class index beyond the classes");
      runs.push_back({static_cast<std::uint32_t>(rows_), row[x]});
      if (++run_count_ > kMaxRuns)
        fail_write(options_.path, "more than 134217728 runs, which COCO output keeps in memory; use TIFF or PNG");
    }
  }

  void write_annotations() {
    std::array<RunLengths, 256> masks;
    std::array<Box, 256> boxes;
    for (std::size_t x = 0; x < runs_of_column_.size(); ++x) {
      auto& runs = runs_of_column_[x];
      for (std::size_t i = 0; i < runs.size(); ++i) {
        const std::int64_t top = runs[i].start, bottom = i + 1 < runs.size() ? runs[i + 1].start : options_.height;
        const auto index = runs[i].index;
        masks[index].add(x * static_cast<std::uint64_t>(options_.height) + static_cast<std::uint64_t>(top),
                         static_cast<std::uint64_t>(bottom - top));
        Box& box = boxes[index];
        box = {std::min(box.left, static_cast<std::int64_t>(x)), std::min(box.top, top), static_cast<std::int64_t>(x) + 1,
               std::max(box.bottom, bottom)};
      }
      std::vector<Run>().swap(runs);
    }
    const auto pixels = static_cast<std::uint64_t>(options_.width) * static_cast<std::uint64_t>(options_.height);
    int written = 0;
    for (std::size_t index = 0; index < options_.class_names.size(); ++index) {
      const std::uint64_t area = masks[index].area();
      if (area == 0 || static_cast<int>(index) == options_.ignore_index) continue;
      const Box& box = boxes[index];
      const nlohmann::json annotation = {
          {"id", ++written}, {"image_id", 1}, {"category_id", index + 1}, {"iscrowd", 0}, {"area", area},
          {"bbox", {box.left, box.top, box.right - box.left, box.bottom - box.top}},
          {"segmentation", {{"size", {options_.height, options_.width}}, {"counts", masks[index].finish(pixels)}}}};
      file_.append((written > 1 ? ",\n" : "\n") + dump(annotation));
    }
  }

  CocoWriterOptions options_;
  GrowingTextFile file_;
  std::vector<std::vector<Run>> runs_of_column_;
  std::int64_t rows_ = 0, run_count_ = 0;
};

}  // namespace

std::unique_ptr<MaskWriter> create_coco_writer(const CocoWriterOptions& options) {
  require(options.width > 0 && options.height > 0, "a mask has at least one pixel");
  require(!options.class_names.empty() && options.class_names.size() <= 256, "a mask has 1 to 256 classes");
  if (options.width > UINT32_MAX / options.height) {
    throw Error(ErrorKind::kInput, options.path.string() + ": " + std::to_string(options.width) + " x " + std::to_string(options.height) +
                                       " pixels, COCO run lengths count fewer than 2^32");
  }
  return std::make_unique<CocoWriter>(options);
}

}  // namespace fovea
