#include "tests/image/sample_files.h"

#include <gdal_priv.h>
#include <ogr_spatialref.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include "core/image/gdal_support.h"

namespace fovea::test {
namespace {

void append_integer(std::string& bytes, std::uint64_t value, int count) {
  for (int i = 0; i < count; ++i) bytes.push_back(static_cast<char>(value >> (8 * i)));
}

void append_tag(std::string& bytes, int tag, int type, std::uint32_t count, std::uint32_t value) {
  append_integer(bytes, static_cast<std::uint64_t>(tag), 2);
  append_integer(bytes, static_cast<std::uint64_t>(type), 2);
  append_integer(bytes, count, 4);
  append_integer(bytes, value, 4);
}

void check(bool condition, const char* what) {
  if (!condition) throw std::runtime_error(std::string("sample file: ") + what + ": " + CPLGetLastErrorMsg());
}

}  // namespace

ImageU16 make_pattern(std::int64_t width, std::int64_t height, int bands, int bits) {
  ImageU16 image(width, height, bands);
  const std::int64_t top = (std::int64_t{1} << bits) - 1;
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t x = 0; x < width; ++x) {
      for (int c = 0; c < bands; ++c) {
        const std::int64_t value = (x * 7 + y * 13 + c * 31 + x * y / 5) * (top / 255) + x % 3;
        image.row(y)[x * bands + c] = static_cast<std::uint16_t>(value % (top + 1));
      }
    }
  }
  image.row(0)[0] = static_cast<std::uint16_t>(top);   // every range is used to its end
  return image;
}

void write_raster(const RasterFile& file, const ImageU16& samples) {
  gdal::initialise();
  const auto type = file.bits == 8 ? GDT_Byte : GDT_UInt16;
  const auto width = static_cast<int>(samples.width()), height = static_cast<int>(samples.height());
  GDALDriverManager& drivers = *GetGDALDriverManager();
  const gdal::DatasetPtr memory(drivers.GetDriverByName("MEM")->Create("", width, height, samples.channels(), type, nullptr));
  const GSpacing step = samples.channels() * 2;
  check(memory->RasterIO(GF_Write, 0, 0, width, height, const_cast<std::uint16_t*>(samples.samples().data()), width, height, GDT_UInt16,
                         samples.channels(), nullptr, step, step * width, 2, nullptr) == CE_None, "pixels");
  if (file.alpha_last) memory->GetRasterBand(samples.channels())->SetColorInterpretation(GCI_AlphaBand);
  for (int i = 1; file.nodata >= 0 && i <= samples.channels(); ++i) memory->GetRasterBand(i)->SetNoDataValue(file.nodata);
  if (!file.palette.empty()) {
    GDALColorTable table;
    for (std::size_t i = 0; i < file.palette.size(); ++i) {
      const auto& row = file.palette[i];
      const GDALColorEntry entry{static_cast<short>(row[0]), static_cast<short>(row[1]), static_cast<short>(row[2]),
                                 static_cast<short>(row[3])};
      table.SetColorEntry(static_cast<int>(i), &entry);
    }
    memory->GetRasterBand(1)->SetColorTable(&table);
    memory->GetRasterBand(1)->SetColorInterpretation(GCI_PaletteIndex);
  } else if (samples.channels() >= 3) {
    for (int i = 1; i <= 3; ++i) memory->GetRasterBand(i)->SetColorInterpretation(static_cast<GDALColorInterp>(GCI_RedBand + i - 1));
  }
  gdal::set_georeference(*memory, file.georeference, file.path);
  std::vector<const char*> options;
  for (const auto& option : file.options) options.push_back(option.c_str());
  options.push_back(nullptr);
  gdal::DatasetPtr written(drivers.GetDriverByName(file.driver.c_str())
                               ->CreateCopy(file.path.c_str(), memory.get(), FALSE, const_cast<char**>(options.data()), nullptr, nullptr));
  check(written != nullptr, "CreateCopy");
  if (file.overviews.empty()) return;
  written.reset(GDALDataset::Open(file.path.c_str(), GDAL_OF_RASTER | GDAL_OF_UPDATE));
  check(written && written->BuildOverviews("NEAREST", static_cast<int>(file.overviews.size()), const_cast<int*>(file.overviews.data()), 0,
                                           nullptr, nullptr, nullptr, nullptr) == CE_None,
        "overviews");
}

ImageU8 expected_rgb(const ImageU16& samples, int significant_bits) {
  const std::uint32_t top = (1u << significant_bits) - 1;
  ImageU8 rgb(samples.width(), samples.height(), 3);
  for (std::int64_t i = 0; i < samples.width() * samples.height(); ++i) {
    for (int c = 0; c < 3; ++c) {
      const int band = samples.channels() >= 3 ? c : 0;
      const std::uint32_t value = samples.samples()[static_cast<std::size_t>(i * samples.channels() + band)];
      rgb.samples()[static_cast<std::size_t>(i * 3 + c)] = static_cast<std::uint8_t>((value * 255 + top / 2) / top);
    }
  }
  return rgb;
}

std::string tiff_bytes(const HandMadeTiff& tiff) {
  constexpr std::uint32_t kBitsOffset = 8, kDirectoryOffset = 16, kEntries = 11, kPixelsOffset = kDirectoryOffset + 2 + kEntries * 12 + 4;
  std::string bytes = {'I', 'I', 42, 0};
  append_integer(bytes, kDirectoryOffset, 4);
  for (int i = 0; i < 3; ++i) append_integer(bytes, tiff.bits, 2);
  append_integer(bytes, 0, 2);
  append_integer(bytes, kEntries, 2);
  append_tag(bytes, 256, 4, 1, tiff.width);
  append_tag(bytes, 257, 4, 1, tiff.height);
  if (tiff.samples_per_pixel == 3) append_tag(bytes, 258, 3, 3, kBitsOffset);
  else append_tag(bytes, 258, 3, 1, tiff.bits);
  append_tag(bytes, 259, 3, 1, 1);                                         // no compression
  append_tag(bytes, 262, 3, 1, tiff.samples_per_pixel == 3 ? 2 : 1);      // RGB or black is zero
  append_tag(bytes, 273, 4, 1, kPixelsOffset);
  append_tag(bytes, 274, 3, 1, tiff.orientation);
  append_tag(bytes, 277, 3, 1, tiff.samples_per_pixel);
  append_tag(bytes, 278, 4, 1, tiff.height);                               // one strip
  append_tag(bytes, 279, 4, 1, static_cast<std::uint32_t>(tiff.pixels.size()));
  append_tag(bytes, 284, 3, 1, 1);                                         // samples interleaved
  append_integer(bytes, 0, 4);
  return bytes + std::string(tiff.pixels.begin(), tiff.pixels.end());
}

std::string with_exif_orientation(const std::string& jpeg, int orientation) {
  std::string block("Exif\0\0II*\0", 10);
  append_integer(block, 8, 4);
  append_integer(block, 1, 2);
  append_tag(block, 274, 3, 1, static_cast<std::uint32_t>(orientation));
  append_integer(block, 0, 4);
  const std::size_t length = block.size() + 2;
  const std::string marker = {'\xff', '\xe1', static_cast<char>(length >> 8), static_cast<char>(length)};
  return jpeg.substr(0, 2) + marker + block + jpeg.substr(2);
}

void write_bytes(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!file.flush()) throw std::runtime_error("sample file: cannot write " + path.string());
}

}  // namespace fovea::test
