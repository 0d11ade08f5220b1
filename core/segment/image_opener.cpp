#include "core/segment/image_opener.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "core/image/image_views.h"
#include "core/image/pixel_size.h"
#include "core/image/shared_source.h"
#include "core/segment/label_output.h"
#include "core/segment/whole_reader.h"

namespace fovea {
namespace {

constexpr std::int64_t kImagesWaiting = 16;           // at most, however small: more would only take memory

// An image whose pixels were read before they were asked for.
class ReadImage final : public ImageSource {
 public:
  // open: the same image once more.
  ReadImage(ImageSource& source, const OpenSource& open)
      : info_(source.info()), rgb_(read_whole(source, open, usual_readers())),
        valid_(may_lack_data(info_) ? source.read_valid({0, 0, info_.width, info_.height}) : ImageU8()) {}
  const ImageInfo& info() const override { return info_; }
  ImageU8 read_rgb(Rect rect, int) override { return cut(rgb_, rect); }
  ImageU8 read_valid(Rect rect, int) override {
    if (!valid_.empty()) return cut(valid_, rect);
    ImageU8 all(rect.width, rect.height, 1);
    std::memset(all.samples().data(), 255, all.samples().size());
    return all;
  }

 private:
  static ImageU8 cut(const ImageU8& image, const Rect& rect) {
    ImageU8 part(rect.width, rect.height, image.channels());
    const auto row_bytes = static_cast<std::size_t>(rect.width * image.channels());
    for (std::int64_t y = 0; y < rect.height; ++y) std::memcpy(part.row(y), image.row(rect.y + y) + rect.x * image.channels(), row_bytes);
    return part;
  }
  const ImageInfo info_;
  const ImageU8 rgb_, valid_;
};

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

ImageOpener::ImageOpener(const BatchOptions& options, const ModelConfig& model, std::int64_t waiting_bytes)
    : options_(options),
      model_(model),
      waiting_bytes_(waiting_bytes),
      least_weight_(waiting_bytes / kImagesWaiting),
      queue_(waiting_bytes),
      thread_([this](const std::stop_token& stop) { open_all(stop); }) {}

ImageOpener::~ImageOpener() {
  thread_.request_stop();
  queue_.close();
}

std::optional<OpenedImage> ImageOpener::next() {
  std::optional<OpenedImage> image = queue_.pop();
  if (!image && failure_) std::rethrow_exception(failure_);
  return image;
}

void ImageOpener::open_all(const std::stop_token& stop) {
  try {
    for (std::size_t i = 0; i < options_.files.size() && !stop.stop_requested(); ++i) {
      const auto start = std::chrono::steady_clock::now();
      OpenedImage image = open(i);
      busy_seconds_ = busy_seconds_ + seconds_since(start);
      const std::int64_t weight = weight_of(image);
      if (!queue_.push(std::move(image), weight)) break;
    }
  } catch (...) {
    failure_ = std::current_exception();
  }
  queue_.close();
}

OpenedImage ImageOpener::open(std::size_t index) const {
  OpenedImage image{.index = static_cast<std::int64_t>(index), .subject = {options_.files[index], options_.folder / options_.names[index]}};
  try {
    image.key = journal_key(image.subject.image, options_.model_hash, options_.options_hash);
    if (options_.journal != nullptr && options_.resume == Resume::kResume) image.kept = options_.journal->verified(image.key);
    if (!image.kept) prepare(image);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kUsage) throw;
    image.failure = std::current_exception();
  } catch (...) {
    image.failure = std::current_exception();
  }
  return image;
}

void ImageOpener::prepare(OpenedImage& image) const {
  auto start = std::chrono::steady_clock::now();
  const OpenSource open = [&] {
    std::unique_ptr<ImageSource> source = options_.open(image.subject.image);
    return options_.window ? window_of(std::move(source), *options_.window) : std::move(source);
  };
  std::unique_ptr<ImageSource> file = open();
  image.open_seconds = seconds_since(start);
  start = std::chrono::steady_clock::now();
  const ImageInfo& info = file->info();
  if (decodes_ahead(info)) {
    if (info.windowed) file = std::make_unique<ReadImage>(*file, open);
    else file->read_rgb({0, 0, 1, 1});   // the first read decodes all of it
  }
  image.decode_seconds = seconds_since(start);
  image.source = std::make_shared<SharedSource>(std::move(file));
  image.for_model = image.source;
  const ImageInfo& whole = image.source->info();
  const PixelExtent seen = model_extent(whole, model_, options_.scale, pixel_size_metres(whole));
  if (seen == PixelExtent{whole.width, whole.height}) return;
  // Keeps what it reads from alive.
  image.for_model = std::shared_ptr<ImageSource>(resampled(*image.source, seen.width, seen.height).release(),
                                                 [source = image.source](ImageSource* scaled) { delete scaled; });
}

// Images are read whole while others are labelled, as long as their pixels may wait: the model never waits for them then, and a file that
// could be read by windows is decoded once, not once for the tokens and once for the decoder.
bool ImageOpener::decodes_ahead(const ImageInfo& info) const { return info.width * info.height * 3 <= waiting_bytes_; }

std::int64_t ImageOpener::weight_of(const OpenedImage& image) const {
  if (!image.source) return least_weight_;
  const ImageInfo& info = image.source->info();
  return std::max(least_weight_, decodes_ahead(info) ? info.width * info.height * 3 : 0);
}

}  // namespace fovea
