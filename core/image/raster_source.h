// The one reader behind open_image(): GDAL for the header, windows and levels; libjpeg for the pixels of JPEG files.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "core/image/file_header.h"
#include "core/image/gdal_support.h"
#include "core/image/image_source.h"

namespace fovea {

// How stored samples become RGB; found from the header, the same for every window.
struct ColourPlan {
  std::vector<int> bands;                             // GDAL's numbers of the grey band, or of red, green, blue
  std::vector<std::array<std::uint8_t, 4>> palette;   // RGBA by index, empty: none
  int significant_bits = 0;                           // samples are 0 .. 2^n - 1; 0: not known yet (docs/formats.md, 16 bits)
};

class RasterSource final : public ImageSource {
 public:
  RasterSource(const std::filesystem::path& path, const FileHeader& header, const ImageLimits& limits);
  const ImageInfo& info() const override { return info_; }
  ImageU8 read_rgb(Rect rect, int level) override;
  ImageU16 read_rgb16(Rect rect, int level) override;
  int white_level() override;
  ImageU8 read_valid(Rect rect, int level) override;
  void read_rows(const RowTaker& take) override;

  // The first band as stored, [height, width, 1]. Error{kInput} unless it is the only one and has 8 bits: for index masks.
  ImageU8 read_indices();

 private:
  [[noreturn]] void fail(const std::string& what) const;
  void check_size(std::int64_t width, std::int64_t height, const ImageLimits& limits) const;
  void read_format(const ImageLimits& limits);
  void read_samples();
  void read_levels();
  void read_palette(GDALRasterBand& band);
  void check_decoded_bytes(const ImageLimits& limits) const;
  void read_block_size();

  ImageU8 colours(Rect rect, int level);      // [h, w, 1 or 3], 8 bits
  ImageU8 valid_samples(Rect rect, int level);
  template <class Sample>
  BasicImage<Sample> stored(Rect rect, int level);
  ImageU8 to_8_bits(const ImageU16& samples) const;
  void find_significant_bits();
  void decode_rows(const RowTaker& take);
  void decode_whole();
  void decode_whole16();
  bool kept() const;
  void require_window(Rect rect, int level) const;
  GDALRasterBand& band(int number, int level) const;

  std::filesystem::path path_;
  FileHeader header_;
  ImageInfo info_;
  ColourPlan plan_;
  bool has_mask_ = false;                     // some pixels may be without data
  int alpha_band_ = 0;                        // GDAL's number, 0: none
  std::vector<int> overview_of_level_;        // -1 for level 0
  gdal::DatasetPtr dataset_;                  // closed once everything is decoded
  ImageU8 decoded_, decoded_valid_;           // of formats without windows, after the first read
  ImageU16 decoded16_;                        // the same for read_rgb16()
  std::int64_t max_kept_bytes_;
};

}  // namespace fovea
