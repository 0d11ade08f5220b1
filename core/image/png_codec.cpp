#include "core/image/png_codec.h"

#include <png.h>

#include <cerrno>
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string>

#include "core/base/file_ptr.h"
#include "core/image/parallel_deflate.h"
#include "core/image/write_error.h"

namespace fovea {
namespace {

// Class maps are long runs: level 3 is three times as fast as zlib's default on them and about as small.
constexpr int kPaletteLevel = 3;

extern "C" void keep_message(png_structp png, png_const_charp text) {
  std::snprintf(static_cast<char*>(png_get_error_ptr(png)), 128, "%s", text);
  png_longjmp(png, 1);
}
extern "C" void ignore_warning(png_structp, png_const_charp) {}

}  // namespace

// Functions that setjmp hold no object with a destructor: libpng leaves them by longjmp.
struct PngEncoder::State {
  Options options;
  FilePtr file;
  std::vector<png_color> palette;
  std::vector<png_byte> opacity;
  char message[128] = "";
  png_structp png = nullptr;
  png_infop information = nullptr;
  // Of palette images, whose rows need no filter: several threads compress them, where libpng has one.
  std::optional<ParallelDeflate> deflate;
  std::int64_t rows_written = 0;

  ~State() { png_destroy_write_struct(&png, &information); }

  bool start() {
    if (setjmp(png_jmpbuf(png))) return false;
    png_init_io(png, file.get());
    png_set_user_limits(png, kMaxSide, kMaxSide);
    const int colour_type = !palette.empty()          ? PNG_COLOR_TYPE_PALETTE
                            : options.channels == 1 ? PNG_COLOR_TYPE_GRAY
                            : options.channels == 3 ? PNG_COLOR_TYPE_RGB
                                                    : PNG_COLOR_TYPE_RGB_ALPHA;
    png_set_IHDR(png, information, static_cast<png_uint_32>(options.width), static_cast<png_uint_32>(options.height), 8, colour_type,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    if (!palette.empty()) {
      png_set_PLTE(png, information, palette.data(), static_cast<int>(palette.size()));
      if (!opacity.empty()) png_set_tRNS(png, information, opacity.data(), static_cast<int>(opacity.size()), nullptr);
    }
    png_write_info(png, information);
    return true;
  }
  bool write_row(const std::uint8_t* row) {
    if (setjmp(png_jmpbuf(png))) return false;
    png_write_row(png, row);
    return true;
  }
  bool write_chunk(const char* name, std::span<const std::uint8_t> content) {
    if (setjmp(png_jmpbuf(png))) return false;
    png_write_chunk(png, reinterpret_cast<png_const_bytep>(name), content.data(), content.size());
    return true;
  }
  bool finish() {
    if (setjmp(png_jmpbuf(png))) return false;
    png_write_end(png, information);
    return true;
  }
  void start_deflate() {
    deflate.emplace(kPaletteLevel, usual_compressors(), [this](std::span<const std::uint8_t> part) {
      if (!write_chunk("IDAT", part)) fail();
    });
  }
  void append(const std::uint8_t* row) {
    if (deflate) {
      constexpr std::uint8_t kNoFilter = 0;
      deflate->append({&kNoFilter, 1});
      deflate->append({row, static_cast<std::size_t>(options.width)});
    } else if (!write_row(row)) {
      fail();
    }
  }
  [[noreturn]] void fail() const { fail_write(options.target, write_failure_reason(options.path, message)); }
};

PngEncoder::PngEncoder(const Options& options) : state_(std::make_unique<State>()) {
  require(options.width > 0 && options.height > 0 && options.width <= kMaxSide && options.height <= kMaxSide,
          "a PNG's side is 1 to 2^31 - 1");
  require(options.channels == 1 || options.channels == 3 || options.channels == 4, "a PNG has 1, 3 or 4 channels here");
  require(options.palette.empty() || (options.channels == 1 && options.palette.size() <= 256), "a palette has at most 256 colours");
  require(options.transparent_index < static_cast<int>(options.palette.size()), "the transparent index is not in the palette");
  State& state = *state_;
  state.options = options;
  for (const Colour& colour : options.palette) state.palette.push_back({colour.red, colour.green, colour.blue});
  if (options.transparent_index >= 0) {
    state.opacity.assign(static_cast<std::size_t>(options.transparent_index) + 1, 255);
    state.opacity.back() = 0;
  }
  state.file.reset(std::fopen(options.path.c_str(), "wbe"));
  if (!state.file) fail_write(options.target, std::strerror(errno));
  state.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, state.message, keep_message, ignore_warning);
  state.information = state.png ? png_create_info_struct(state.png) : nullptr;
  if (!state.information) fail_write(options.target, "out of memory");
  if (!state.start()) state.fail();
  if (!state.palette.empty()) state.start_deflate();
}

PngEncoder::~PngEncoder() = default;

void PngEncoder::append(const ImageU8& rows) {
  require(rows.width() == state_->options.width && rows.channels() == state_->options.channels, "rows do not fit the PNG");
  require(state_->rows_written + rows.height() <= state_->options.height, "more rows than the PNG has");
  for (std::int64_t y = 0; y < rows.height(); ++y) state_->append(rows.row(y));
  state_->rows_written += rows.height();
}

void PngEncoder::finish() {
  require(state_->rows_written == state_->options.height, "the PNG lacks rows");
  if (state_->deflate) state_->deflate->finish();
  const bool ended = state_->deflate ? state_->write_chunk("IEND", {}) : state_->finish();
  if (!ended || std::fflush(state_->file.get()) != 0) state_->fail();
}

}  // namespace fovea
