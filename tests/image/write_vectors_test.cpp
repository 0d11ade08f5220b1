// Polygons, COCO masks, probabilities and cloud-optimised files, opened again by the libraries that other programs use.
#include <gdal_alg.h>
#include <gdal_priv.h>
#include <gtest/gtest.h>
#include <ogr_api.h>
#include <ogrsf_frmts.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/base/files.h"
#include "core/image/border_simplifier.h"
#include "core/image/coco.h"
#include "core/image/gdal_support.h"
#include "core/image/polygons.h"
#include "core/image/probability_writer.h"
#include "core/image/writers.h"
#include "tests/image/expect_image.h"
#include "tests/image/sample_files.h"

namespace fovea::test {
namespace {

const std::vector<Colour> kShapePalette = {{200, 180, 140}, {90, 90, 90}, {220, 40, 40}};
const std::vector<std::string> kShapeNames = {"land", "road \"A\"", "building"};

// Discs, a frame within a frame, diagonal stripes and single pixels: holes, islands, corners that touch, borders along the image's own.
ImageU8 make_shapes(std::int64_t width, std::int64_t height) {
  ImageU8 mask(width, height, 1);
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t x = 0; x < width; ++x) {
      const double radius = std::hypot(static_cast<double>(x) - 40.5, static_cast<double>(y) - 45.5);
      int index = radius < 12 ? 1 : radius < 30 ? 2 : 0;
      if (x > 90 && (x + 2 * y) % 41 < 9) index = 1;
      if (y > height - 12) index = x % 17 < 5 ? 2 : index;
      if ((x * 7919 + y * 104729) % 331 == 0) index = 2;
      mask.row(y)[x] = static_cast<std::uint8_t>(index);
    }
  }
  return mask;
}

template <class Writer>
void append_by_bands(Writer& writer, const ImageU8& image, std::int64_t rows) {
  for (std::int64_t y = 0; y < image.height(); y += rows)
    writer.append(crop_of(image, {0, y, image.width(), std::min(rows, image.height() - y)}));
}

PolygonWriterOptions polygon_options(const std::filesystem::path& path, const ImageU8& mask) {
  return {.path = path, .width = mask.width(), .height = mask.height(), .palette = kShapePalette, .class_names = kShapeNames};
}

void write_polygons(const PolygonWriterOptions& options, const ImageU8& mask) {
  const auto writer = create_polygon_writer(options);
  append_by_bands(*writer, mask, 13);
  writer->finish();
}

gdal::DatasetPtr open_vectors(const std::filesystem::path& path) {
  RegisterOGRGeoJSON();
  return gdal::DatasetPtr(GDALDataset::Open(path.c_str(), GDAL_OF_VECTOR));
}

struct Drawn {
  ImageU8 mask;
  double area = 0;       // of all polygons, square pixels
  int regions = 0, holes = 0, invalid = 0;
};

// What the file's polygons cover, drawn by GDAL: a pixel belongs to the polygon that holds its centre; 255: to none.
Drawn draw(const std::filesystem::path& path, std::int64_t width, std::int64_t height) {
  const auto file = open_vectors(path);
  const gdal::DatasetPtr canvas(
      GetGDALDriverManager()->GetDriverByName("MEM")->Create("", static_cast<int>(width), static_cast<int>(height), 1, GDT_Byte, nullptr));
  canvas->GetRasterBand(1)->Fill(255);
  double identity[] = {0, 1, 0, 0, 0, 1};
  canvas->SetGeoTransform(identity);
  Drawn drawn;
  for (const auto& feature : file->GetLayer(0)) {
    const OGRGeometry* geometry = feature->GetGeometryRef();
    int band = 1;
    double value = feature->GetFieldAsInteger("class");
    OGRGeometryH handle = OGRGeometry::ToHandle(const_cast<OGRGeometry*>(geometry));
    EXPECT_EQ(GDALRasterizeGeometries(GDALDataset::ToHandle(canvas.get()), 1, &band, 1, &handle, nullptr, nullptr, &value, nullptr, nullptr,
                                      nullptr),
              CE_None);
    ++drawn.regions;
    drawn.invalid += !geometry->IsValid();
    drawn.area += OGR_G_Area(handle);
    if (wkbFlatten(geometry->getGeometryType()) == wkbPolygon) drawn.holes += geometry->toPolygon()->getNumInteriorRings();
  }
  drawn.mask = ImageU8(width, height, 1);
  EXPECT_EQ(
      canvas->GetRasterBand(1)->RasterIO(GF_Read, 0, 0, static_cast<int>(width), static_cast<int>(height), drawn.mask.samples().data(),
                                         static_cast<int>(width), static_cast<int>(height), GDT_Byte, 0, 0, nullptr),
      CE_None);
  return drawn;
}

TEST(WritePolygons, UnsimplifiedOnesAreTheMask) {
  const TemporaryFolder folder;
  const auto path = folder / "b.geojson";
  const ImageU8 mask = make_shapes(201, 113);
  auto options = polygon_options(path, mask);
  options.simplify_pixels = 0;
  {
    const auto unfinished = create_polygon_writer(options);
    append_by_bands(*unfinished, mask, 13);
    EXPECT_FALSE(std::filesystem::exists(path));
  }
  EXPECT_TRUE(folder.names().empty());
  write_polygons(options, mask);
  EXPECT_EQ(folder.names(), std::vector<std::string>{"b.geojson"});
  const Drawn drawn = draw(path, mask.width(), mask.height());
  EXPECT_TRUE(same_pixels(drawn.mask, mask));
  EXPECT_EQ(drawn.area, 201.0 * 113.0);
  EXPECT_EQ(drawn.invalid, 0);
  EXPECT_GT(drawn.holes, 1);
}

TEST(WritePolygons, SimplifiedOnesTileTheImageAndMoveBordersByTheTolerance) {
  const TemporaryFolder folder;
  const auto path = folder / "b.geojson";
  const ImageU8 mask = make_shapes(201, 113);
  auto options = polygon_options(path, mask);
  options.simplify_pixels = 0;
  write_polygons(options, mask);
  const auto exact_bytes = std::filesystem::file_size(path);
  options.simplify_pixels = 1;
  write_polygons(options, mask);
  EXPECT_LT(std::filesystem::file_size(path), exact_bytes);
  const Drawn drawn = draw(path, mask.width(), mask.height());
  EXPECT_EQ(drawn.invalid, 0);
  EXPECT_NEAR(drawn.area, 201.0 * 113.0, 1e-9 * 201 * 113);   // neither overlaps nor gaps: summation error only
  // A border that moved by one pixel flips pixels whose centre lies that near to it: the class drawn there is at most 2 pixels away.
  for (std::int64_t y = 0; y < mask.height(); ++y) {
    for (std::int64_t x = 0; x < mask.width(); ++x) {
      const int got = drawn.mask.row(y)[x];
      bool near = false;
      for (std::int64_t v = std::max<std::int64_t>(0, y - 2); v <= std::min(mask.height() - 1, y + 2); ++v) {
        for (std::int64_t u = std::max<std::int64_t>(0, x - 2); u <= std::min(mask.width() - 1, x + 2); ++u) near |= mask.row(v)[u] == got;
      }
      EXPECT_TRUE(near) << x << ", " << y << ": " << got;
    }
  }
}

TEST(SimplifyRing, BothSidesOfABorderAgree) {
  // Two regions on a 6 x 40 image, divided by a staircase; its ends are junctions with the image's border.
  ImageU8 mask(6, 40, 1);
  std::vector<Corner> left = {{0, 0}}, right;
  std::vector<Corner> border;
  for (std::int32_t y = 0; y < 40; ++y) {
    const std::int32_t x = 2 + y / 7 % 3;
    for (std::int32_t u = 0; u < 6; ++u) mask.row(y)[u] = u >= x;
    if (border.empty() || border.back().x != x) {
      if (!border.empty()) border.push_back({border.back().x, y});
      border.push_back({x, y});
    }
  }
  border.push_back({border.back().x, 40});
  Junctions junctions(6);
  junctions.append(mask);
  junctions.finish();
  EXPECT_TRUE(junctions.contains(border.front()));
  EXPECT_TRUE(junctions.contains(border.back()));
  EXPECT_FALSE(junctions.contains(border[1]));
  left.insert(left.end(), border.begin(), border.end());
  left.push_back({0, 40});
  right.assign(border.rbegin(), border.rend());
  right.push_back({6, 0}), right.push_back({6, 40});
  for (const double tolerance : {0.5, 1.0, 2.0}) {
    auto on_border = [&](std::vector<Corner> ring) {
      std::erase_if(ring, [](Corner corner) { return corner.x == 0 || corner.x == 6; });
      std::ranges::sort(ring);
      return ring;
    };
    EXPECT_EQ(on_border(simplify_ring(left, junctions, tolerance)), on_border(simplify_ring(right, junctions, tolerance))) << tolerance;
  }
}

TEST(WritePolygons, PropertiesServeQuPath) {
  const TemporaryFolder folder;
  const auto path = folder / "b.geojson";
  ImageU8 mask(10, 10, 1);
  mask.row(4)[5] = 1;
  auto options = polygon_options(path, mask);
  options.ignore_index = 0;
  write_polygons(options, mask);
  const auto json = nlohmann::json::parse(read_text_file(path));
  ASSERT_EQ(json["features"].size(), 1u);
  const auto& feature = json["features"][0];
  EXPECT_EQ(feature["properties"], nlohmann::json::parse(R"({"class":1,"name":"road \"A\"","area_pixels":1,"objectType":"annotation",
                                                             "classification":{"name":"road \"A\"","color":[90,90,90]}})"));
  EXPECT_FALSE(json.contains("crs"));
  const auto& ring = feature["geometry"]["coordinates"][0];
  EXPECT_EQ(ring.size(), 5u);
  EXPECT_EQ(ring[0], ring[4]);
}

std::string wkt_of(int epsg) {
  OGRSpatialReference reference;
  EXPECT_EQ(reference.importFromEPSG(epsg), OGRERR_NONE);
  char* text = nullptr;
  reference.exportToWkt(&text);
  const std::string result = text;
  CPLFree(text);
  return result;
}

TEST(WritePolygons, CoordinatesOfTheImageOrLongitudeAndLatitude) {
  const TemporaryFolder folder;
  const auto path = folder / "b.geojson";
  const ImageU8 mask(30, 20, 1);
  auto options = polygon_options(path, mask);
  options.georeference = {.geotransform = std::array{500000.0, 0.5, 0.0, 5540000.0, 0.0, -0.5}, .projection_wkt = wkt_of(32632)};
  const auto extent = [&] {
    const auto file = open_vectors(path);
    OGREnvelope envelope;
    EXPECT_EQ(file->GetLayer(0)->GetExtent(&envelope), OGRERR_NONE);
    return envelope;
  };
  write_polygons(options, mask);
  EXPECT_STREQ(open_vectors(path)->GetLayer(0)->GetSpatialRef()->GetAuthorityCode(nullptr), "32632");
  EXPECT_EQ(extent().MinX, 500000.0);
  EXPECT_EQ(extent().MaxX, 500015.0);
  EXPECT_EQ(extent().MinY, 5539990.0);
  const auto ring = nlohmann::json::parse(read_text_file(path))["features"][0]["geometry"]["coordinates"][0];
  double twice_area = 0;   // counterclockwise: positive
  for (std::size_t i = 0; i + 1 < ring.size(); ++i) {
    twice_area += (ring[i][0].get<double>() - 500000) * (ring[i + 1][1].get<double>() - 5540000) -
                  (ring[i + 1][0].get<double>() - 500000) * (ring[i][1].get<double>() - 5540000);
  }
  EXPECT_EQ(twice_area, 2 * 15.0 * 10.0);

  options.coordinates = PolygonCoordinates::kWgs84;
  write_polygons(options, mask);
  EXPECT_EQ(extent().MinX, 9.0);   // easting 500 km: the zone's central meridian
  EXPECT_GT(extent().MinY, 50.0);
  EXPECT_LT(extent().MaxY, 50.1);

  options.coordinates = PolygonCoordinates::kPixels;
  write_polygons(options, mask);
  EXPECT_EQ(extent().MaxX, 30.0);
  EXPECT_EQ(extent().MaxY, 20.0);

  options.coordinates = PolygonCoordinates::kWgs84;
  options.georeference = {};
  EXPECT_EQ(complaint(ErrorKind::kInput, path, [&] { create_polygon_writer(options); }),
            "longitude and latitude need an image with a coordinate reference system");
}

// Written from the format's description, not from the encoder: five bits a character, differences to the last but one count.
std::vector<std::uint64_t> decode_counts(const std::string& text) {
  std::vector<std::uint64_t> counts;
  for (std::size_t at = 0; at < text.size();) {
    std::int64_t value = 0;
    int shift = 0, bits = 0;
    do {
      bits = text[at++] - 48;
      value |= static_cast<std::int64_t>(bits & 31) << shift;
      shift += 5;
    } while (bits & 32);
    if (bits & 16) value -= std::int64_t{1} << shift;
    if (counts.size() > 2) value += static_cast<std::int64_t>(counts[counts.size() - 2]);
    counts.push_back(static_cast<std::uint64_t>(value));
  }
  return counts;
}

nlohmann::json write_coco(const std::filesystem::path& path, const ImageU8& mask, int ignore_index) {
  const auto writer = create_coco_writer({.path = path, .image_file_name = "b.tif", .width = mask.width(), .height = mask.height(),
                                          .class_names = kShapeNames, .ignore_index = ignore_index});
  append_by_bands(*writer, mask, 7);
  EXPECT_FALSE(std::filesystem::exists(path));
  writer->finish();
  return nlohmann::json::parse(read_text_file(path));
}

TEST(WriteCoco, SmallMaskByHand) {
  const TemporaryFolder folder;
  ImageU8 mask(2, 2, 1);
  mask.row(0)[1] = mask.row(1)[0] = mask.row(1)[1] = 1;   // down the columns: 0 1 1 1
  const auto json = write_coco(folder / "b_coco.json", mask, -1);
  EXPECT_EQ(json["images"], nlohmann::json::parse(R"([{"id":1,"file_name":"b.tif","width":2,"height":2}])"));
  EXPECT_EQ(json["annotations"], nlohmann::json::parse(R"([
    {"id":1,"image_id":1,"category_id":1,"iscrowd":0,"area":1,"bbox":[0,0,1,1],"segmentation":{"size":[2,2],"counts":"013"}},
    {"id":2,"image_id":1,"category_id":2,"iscrowd":0,"area":3,"bbox":[0,0,2,2],"segmentation":{"size":[2,2],"counts":"13"}}])"));
}

TEST(WriteCoco, MasksComeBack) {
  const TemporaryFolder folder;
  const ImageU8 mask = make_shapes(201, 113);
  const auto json = write_coco(folder / "b_coco.json", mask, 2);
  ImageU8 back(mask.width(), mask.height(), 1);
  std::ranges::fill(back.samples(), std::uint8_t{2});   // the ignored class
  EXPECT_EQ(json["annotations"].size(), 2u);
  for (const auto& annotation : json["annotations"]) {
    std::uint64_t at = 0, area = 0;
    bool inside = false;
    for (const auto count : decode_counts(annotation["segmentation"]["counts"])) {
      for (std::uint64_t i = 0; i < count; ++i, ++at) {
        if (!inside) continue;
        ++area;
        back.row(static_cast<std::int64_t>(at % 113))[at / 113] = static_cast<std::uint8_t>(annotation["category_id"].get<int>() - 1);
      }
      inside = !inside;
    }
    EXPECT_EQ(at, 201u * 113u);
    EXPECT_EQ(annotation["area"], area);
  }
  EXPECT_TRUE(same_pixels(back, mask));
}

TEST(WriteCoco, ImagesBeyond32BitsAreRefused) {
  const TemporaryFolder folder;
  const auto path = folder / "b_coco.json";
  EXPECT_EQ(complaint(ErrorKind::kInput, path, [&] {
              create_coco_writer({.path = path, .image_file_name = "b.tif", .width = 65536, .height = 65536, .class_names = kShapeNames});
            }), "65536 x 65536 pixels, COCO run lengths count fewer than 2^32");
}

TEST(WriteProbabilities, BandsComeBackWithTheirNames) {
  const TemporaryFolder folder;
  const auto path = folder / "b_probs.tif";
  ImageU8 probabilities(301, 270, 3);
  for (std::size_t i = 0; i < probabilities.samples().size(); ++i) probabilities.samples()[i] = static_cast<std::uint8_t>(i * 31 / 7);
  const GeoReference georeference{.geotransform = std::array{10.0, 0.25, 0.0, 20.0, 0.0, -0.25}, .projection_wkt = wkt_of(32632)};
  const auto writer =
      create_probability_writer({.path = path, .width = 301, .height = 270, .class_names = kShapeNames, .georeference = georeference});
  append_by_bands(*writer, probabilities, 100);
  writer->finish();
  EXPECT_EQ(folder.names(), std::vector<std::string>{"b_probs.tif"});
  const auto dataset = gdal::open(path, "GTiff");
  ASSERT_EQ(dataset->GetRasterCount(), 3);
  EXPECT_EQ(gdal::georeference_of(*dataset).geotransform, georeference.geotransform);
  ImageU8 back(301, 270, 3);
  ASSERT_EQ(dataset->RasterIO(GF_Read, 0, 0, 301, 270, back.samples().data(), 301, 270, GDT_Byte, 3, nullptr, 3, 903, 1, nullptr), CE_None);
  EXPECT_TRUE(same_pixels(back, probabilities));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(dataset->GetRasterBand(i + 1)->GetDescription(), kShapeNames[static_cast<std::size_t>(i)]);
}

// The conditions of GDAL's validate_cloud_optimized_geotiff.py.
TEST(WriteCog, IsAValidCloudOptimisedGeoTiff) {
  const TemporaryFolder folder;
  const auto path = folder / "b_mask.tif";
  const ImageU8 mask = make_shapes(2100, 1300);
  write_raster({.path = folder / "map.tif", .georeference = {.geotransform = std::array{500000.1, 0.3, 0.0, 5540000.7, 0.0, -0.3},
                                                             .projection_wkt = wkt_of(32632)}}, make_pattern(8, 8, 3, 8));
  const auto georeference = open_image(folder / "map.tif")->info().georeference;
  const auto writer = create_mask_writer({.path = path, .format = MaskFormat::kCog, .width = mask.width(), .height = mask.height(),
                                          .palette = kShapePalette, .class_names = kShapeNames, .georeference = georeference, .nodata = 255});
  append_by_bands(*writer, mask, 333);
  writer->finish();
  EXPECT_EQ(folder.names(), (std::vector<std::string>{"b_mask.tif", "map.tif"}));
  EXPECT_TRUE(same_pixels(read_index_mask(path), mask));
  EXPECT_EQ(open_image(path)->info().georeference, georeference);
  EXPECT_EQ(open_image(path)->info().nodata, 255);

  const auto dataset = gdal::open(path, "GTiff");
  EXPECT_STREQ(dataset->GetMetadataItem("LAYOUT", "IMAGE_STRUCTURE"), "COG");
  EXPECT_EQ(dataset->GetMetadataItem("CLASS_1"), kShapeNames[1]);
  GDALRasterBand& full = *dataset->GetRasterBand(1);
  ASSERT_NE(full.GetColorTable(), nullptr);
  EXPECT_EQ(full.GetColorTable()->GetColorEntry(2)->c1, 220);
  ASSERT_EQ(full.GetOverviewCount(), 3);
  const auto number = [](GDALRasterBand& band, const char* key) {
    const char* text = band.GetMetadataItem(key, "TIFF");
    EXPECT_NE(text, nullptr) << key;
    return text ? std::atoll(text) : 0;
  };
  long long directory = number(full, "IFD_OFFSET"), data = number(full, "BLOCK_OFFSET_0_0");
  EXPECT_LT(directory, 300);   // behind GDAL's leader of structural metadata
  for (int i = 0; i < 3; ++i) {
    GDALRasterBand& overview = *full.GetOverview(i);
    int width = 0, height = 0;
    overview.GetBlockSize(&width, &height);
    EXPECT_EQ(width, 512);
    EXPECT_EQ(height, 512);
    EXPECT_GT(number(overview, "IFD_OFFSET"), directory);    // directories from large to small
    EXPECT_LT(number(overview, "BLOCK_OFFSET_0_0"), data);   // pixels from small to large
    directory = number(overview, "IFD_OFFSET"), data = number(overview, "BLOCK_OFFSET_0_0");
  }
  EXPECT_GT(data, directory);   // all directories come before all pixels
}

}  // namespace
}  // namespace fovea::test
