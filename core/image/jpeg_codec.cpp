#include "core/image/jpeg_codec.h"

#include <algorithm>
#include <cerrno>
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include <jpeglib.h>
#include <jerror.h>

#include "core/base/file_ptr.h"
#include "core/image/write_error.h"

namespace fovea {

// libjpeg reports through callbacks and leaves by longjmp. Functions that setjmp hold no object with a destructor.
struct JpegErrors {
  jpeg_error_mgr base;   // first: libjpeg knows only this part
  std::jmp_buf escape;
  char message[JMSG_LENGTH_MAX];
};

namespace {

// A picture may refine its coefficients in some ten scans; files with hundreds are made to waste time.
constexpr int kMaxScans = 100;

[[noreturn]] void leave(j_common_ptr codec) {
  auto* manager = reinterpret_cast<JpegErrors*>(codec->err);
  codec->err->format_message(codec, manager->message);
  std::longjmp(manager->escape, 1);
}

void judge_message(j_common_ptr codec, int level) {
  // Cameras leave stray bytes before a marker; nothing is lost by them. Every other warning means that pixels were made up.
  const int code = codec->err->msg_code;
  if (level < 0 && code != JWRN_EXTRANEOUS_DATA && code != JWRN_ADOBE_XFORM && code != JWRN_JFIF_MAJOR) leave(codec);
}

void limit_scans(j_common_ptr codec) {
  auto* manager = reinterpret_cast<JpegErrors*>(codec->err);
  if (reinterpret_cast<j_decompress_ptr>(codec)->input_scan_number <= kMaxScans) return;
  std::snprintf(manager->message, sizeof manager->message, "more than %d scans", kMaxScans);
  std::longjmp(manager->escape, 1);
}

void prepare(JpegErrors& manager) {
  jpeg_std_error(&manager.base);
  manager.base.error_exit = leave;
  manager.base.emit_message = judge_message;
  manager.message[0] = '\0';
}

// libjpeg's own reader hands over 4 KB at a time, and its fast Huffman decoder wants 3 KB ahead: a quarter of a file was read by it. With
// more at a time nearly all is, and a decode takes a tenth less.
struct JpegSource {
  static constexpr std::size_t kBytes = 256 << 10;
  jpeg_source_mgr base{};   // first: libjpeg knows only this part
  std::FILE* file = nullptr;
  bool begun = false;
  std::vector<JOCTET> bytes = std::vector<JOCTET>(kBytes);

  void serve(j_decompress_ptr codec, std::FILE* from) {
    file = from;
    base.init_source = [](j_decompress_ptr) {};
    base.fill_input_buffer = fill;
    base.skip_input_data = skip;
    base.resync_to_restart = jpeg_resync_to_restart;
    base.term_source = [](j_decompress_ptr) {};
    codec->src = &base;
  }
  static boolean fill(j_decompress_ptr codec) {
    auto& self = *reinterpret_cast<JpegSource*>(codec->src);
    std::size_t count = std::fread(self.bytes.data(), 1, kBytes, self.file);
    if (count == 0) {
      if (!self.begun) ERREXIT(codec, JERR_INPUT_EMPTY);
      WARNMS(codec, JWRN_JPEG_EOF);
      self.bytes[0] = 0xFF, self.bytes[1] = JPEG_EOI;   // what the format says of files that end too early
      count = 2;
    }
    self.begun = true;
    self.base.next_input_byte = self.bytes.data();
    self.base.bytes_in_buffer = count;
    return TRUE;
  }
  static void skip(j_decompress_ptr codec, long count) {
    auto& self = *reinterpret_cast<JpegSource*>(codec->src);
    while (count > static_cast<long>(self.base.bytes_in_buffer)) {
      count -= static_cast<long>(self.base.bytes_in_buffer);
      fill(codec);
    }
    if (count <= 0) return;
    self.base.next_input_byte += count;
    self.base.bytes_in_buffer -= static_cast<std::size_t>(count);
  }
};

struct Decoder {
  jpeg_decompress_struct codec{};
  JpegSource bytes;
  JpegErrors errors{};
  jpeg_progress_mgr progress{};

  Decoder() {
    codec.err = &errors.base;
    prepare(errors);
    jpeg_create_decompress(&codec);
    progress.progress_monitor = limit_scans;
    codec.progress = &progress;
  }
  ~Decoder() { jpeg_destroy_decompress(&codec); }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;
};

bool start(Decoder& decoder, std::FILE* file, unsigned shrink) {
  if (setjmp(decoder.errors.escape)) return false;
  decoder.bytes.serve(&decoder.codec, file);
  jpeg_read_header(&decoder.codec, TRUE);
  auto& codec = decoder.codec;
  codec.out_color_space = codec.num_components == 1 ? JCS_GRAYSCALE : codec.num_components == 4 ? JCS_CMYK : JCS_RGB;
  codec.scale_num = 1;
  codec.scale_denom = shrink;
  jpeg_start_decompress(&codec);
  return true;
}

bool read_row(Decoder& decoder, JSAMPLE* row) {
  if (setjmp(decoder.errors.escape)) return false;
  return jpeg_read_scanlines(&decoder.codec, &row, 1) == 1;
}

bool finish_reading(Decoder& decoder) {
  if (setjmp(decoder.errors.escape)) return false;
  return jpeg_finish_decompress(&decoder.codec);
}

// Adobe's programs store inverted inks, 255 for none; others do it the other way round.
void cmyk_to_rgb(const std::uint8_t* cmyk, std::uint8_t* rgb, std::int64_t width, std::uint8_t invert) {
  for (std::int64_t x = 0; x < width; ++x, cmyk += 4, rgb += 3) {
    const int key = cmyk[3] ^ invert;
    for (int c = 0; c < 3; ++c) rgb[c] = static_cast<std::uint8_t>(((cmyk[c] ^ invert) * key + 127) / 255);
  }
}

// One file's rows, top to bottom: grey or RGB.
class JpegRows {
 public:
  JpegRows(const std::filesystem::path& path, int shrink) : path_(path), file_(std::fopen(path.c_str(), "rbe")) {
    require(shrink == 1 || shrink == 2 || shrink == 4 || shrink == 8, "a JPEG is shrunk by 1, 2, 4 or 8");
    if (!file_) throw Error(ErrorKind::kInput, path.string() + ": " + std::strerror(errno));
    if (!start(decoder_, file_.get(), static_cast<unsigned>(shrink))) fail();
    if (cmyk()) inks_.resize(std::size_t{decoder_.codec.output_width} * 4);
  }
  std::int64_t width() const { return decoder_.codec.output_width; }
  std::int64_t height() const { return decoder_.codec.output_height; }
  int channels() const { return cmyk() ? 3 : decoder_.codec.output_components; }

  void read(std::uint8_t* row) {
    if (!read_row(decoder_, cmyk() ? inks_.data() : row)) fail();
    if (cmyk()) cmyk_to_rgb(inks_.data(), row, width(), decoder_.codec.saw_Adobe_marker ? 0 : 255);
  }
  // After the last row: damage behind it.
  void finish() {
    if (!finish_reading(decoder_)) fail();
  }

 private:
  bool cmyk() const { return decoder_.codec.num_components == 4; }
  [[noreturn]] void fail() const {
    throw Error(ErrorKind::kInput, path_.string() + ": truncated or damaged JPEG: " + first_line(decoder_.errors.message));
  }

  const std::filesystem::path path_;
  const FilePtr file_;
  Decoder decoder_;
  std::vector<std::uint8_t> inks_;
};

}  // namespace

ImageU8 decode_jpeg(const std::filesystem::path& path, int shrink) {
  JpegRows rows(path, shrink);
  ImageU8 image(rows.width(), rows.height(), rows.channels());
  for (std::int64_t y = 0; y < image.height(); ++y) rows.read(image.row(y));
  rows.finish();
  return image;
}

void decode_jpeg_rows(const std::filesystem::path& path, const std::function<bool(ImageU8 rows)>& take) {
  constexpr std::int64_t kRowsAtOnce = 64;   // a multiple of what the codec finishes at a time
  JpegRows rows(path, 1);
  for (std::int64_t y = 0; y < rows.height(); y += kRowsAtOnce) {
    ImageU8 part(rows.width(), std::min(kRowsAtOnce, rows.height() - y), rows.channels());
    for (std::int64_t row = 0; row < part.height(); ++row) rows.read(part.row(row));
    if (y + part.height() == rows.height()) rows.finish();
    if (!take(std::move(part))) return;
  }
}

struct JpegEncoder::State {
  Options options;
  FilePtr file;
  jpeg_compress_struct codec{};
  JpegErrors errors{};
  std::int64_t rows_written = 0;
  ~State() { jpeg_destroy_compress(&codec); }

  bool start() {
    if (setjmp(errors.escape)) return false;
    jpeg_create_compress(&codec);
    jpeg_stdio_dest(&codec, file.get());
    codec.image_width = static_cast<JDIMENSION>(options.width);
    codec.image_height = static_cast<JDIMENSION>(options.height);
    codec.input_components = options.channels;
    codec.in_color_space = options.channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(&codec);
    jpeg_set_quality(&codec, options.quality, TRUE);
    jpeg_start_compress(&codec, TRUE);
    return true;
  }
  bool write_row(const std::uint8_t* row) {
    if (setjmp(errors.escape)) return false;
    JSAMPROW rows[] = {const_cast<JSAMPROW>(row)};   // libjpeg only reads it
    return jpeg_write_scanlines(&codec, rows, 1) == 1;
  }
  bool finish() {
    if (setjmp(errors.escape)) return false;
    jpeg_finish_compress(&codec);
    return true;
  }
};

JpegEncoder::JpegEncoder(const Options& options) : state_(std::make_unique<State>()) {
  require(options.channels == 1 || options.channels == 3, "a JPEG has 1 or 3 channels");
  require(options.width > 0 && options.height > 0 && options.width <= kMaxSide && options.height <= kMaxSide,
          "a JPEG's side is 1 to 65500");
  state_->options = options;
  prepare(state_->errors);
  state_->codec.err = &state_->errors.base;
  state_->file.reset(std::fopen(options.path.c_str(), "wbe"));
  if (!state_->file) fail_write(options.target, std::strerror(errno));
  if (!state_->start()) fail_write(options.target, write_failure_reason(options.path, state_->errors.message));
}

JpegEncoder::~JpegEncoder() = default;

void JpegEncoder::append(const ImageU8& rows) {
  require(rows.width() == state_->options.width && rows.channels() == state_->options.channels, "rows do not fit the JPEG");
  require(state_->rows_written + rows.height() <= state_->options.height, "more rows than the JPEG has");
  for (std::int64_t y = 0; y < rows.height(); ++y) {
    if (!state_->write_row(rows.row(y))) {
      fail_write(state_->options.target, write_failure_reason(state_->options.path, state_->errors.message));
    }
  }
  state_->rows_written += rows.height();
}

void JpegEncoder::finish() {
  require(state_->rows_written == state_->options.height, "the JPEG lacks rows");
  const bool flushed = state_->finish() && std::fflush(state_->file.get()) == 0;
  const std::string reason = flushed ? "" : write_failure_reason(state_->options.path, state_->errors.message);
  if (!flushed) fail_write(state_->options.target, reason);
}

}  // namespace fovea
