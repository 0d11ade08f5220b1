#include "core/image/polygons.h"

#include <cpl_string.h>
#include <gdal_alg.h>
#include <ogr_geometry.h>
#include <ogr_spatialref.h>
#include <ogrsf_frmts.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/base/files.h"
#include "core/image/border_simplifier.h"
#include "core/image/gdal_support.h"
#include "core/image/text_file.h"
#include "core/image/write_error.h"

namespace fovea {
namespace {

constexpr int kSpoolRows = 16;   // a strip of the temporary class map

struct ReleaseTransformation {
  void operator()(OGRCoordinateTransformation* transformation) const { OGRCoordinateTransformation::DestroyCT(transformation); }
};
using Transformation = std::unique_ptr<OGRCoordinateTransformation, ReleaseTransformation>;

// From pixels to the coordinates of the file.
class Placement {
 public:
  explicit Placement(const PolygonWriterOptions& options) {
    if (options.coordinates == PolygonCoordinates::kPixels) return;
    geotransform_ = options.georeference.geotransform;
    if (geotransform_ && !options.georeference.projection_wkt.empty()) read_reference(options.georeference.projection_wkt);
    if (options.coordinates != PolygonCoordinates::kWgs84) return;
    OGRSpatialReference wgs84;
    wgs84.importFromEPSG(4326);
    wgs84.SetAxisMappingStrategy(OAMS_TRADITIONAL_GIS_ORDER);
    if (geotransform_ && !reference_.IsEmpty()) to_wgs84_.reset(OGRCreateCoordinateTransformation(&reference_, &wgs84));
    if (!to_wgs84_) {
      throw Error(ErrorKind::kInput, options.path.string() + ": longitude and latitude need an image with a coordinate reference system");
    }
    crs_name_.clear();   // what RFC 7946 takes for granted
  }

  // The text behind "crs" of the old GeoJSON specification, which GDAL and QGIS still read; empty: none to write.
  const std::string& crs_name() const { return crs_name_; }

  std::pair<double, double> place(double pixel_x, double pixel_y) const {
    if (!geotransform_) return {pixel_x, pixel_y};
    const auto& t = *geotransform_;
    double x = t[0] + t[1] * pixel_x + t[2] * pixel_y, y = t[3] + t[4] * pixel_x + t[5] * pixel_y;
    if (to_wgs84_) to_wgs84_->Transform(1, &x, &y);
    return {x, y};
  }

  // Whether what runs clockwise in pixels' numbers runs counterclockwise in those of the file.
  bool mirrors() const {
    return geotransform_ && (*geotransform_)[1] * (*geotransform_)[5] - (*geotransform_)[2] * (*geotransform_)[4] < 0;
  }

 private:
  void read_reference(const std::string& wkt) {
    reference_.SetAxisMappingStrategy(OAMS_TRADITIONAL_GIS_ORDER);
    if (reference_.importFromWkt(wkt.c_str()) != OGRERR_NONE) reference_.Clear();
    const char* authority = reference_.GetAuthorityName(nullptr);
    const char* code = reference_.GetAuthorityCode(nullptr);
    if (authority && code) crs_name_ = std::string("urn:ogc:def:crs:") + authority + "::" + code;
  }

  std::optional<std::array<double, 6>> geotransform_;
  OGRSpatialReference reference_;
  Transformation to_wgs84_;
  std::string crs_name_;
};

using Rings = std::vector<std::vector<Corner>>;   // the outer one first

double twice_area(std::span<const Corner> ring) {
  double sum = 0;
  for (std::size_t i = 0; i < ring.size(); ++i) {
    const Corner a = ring[i], b = ring[(i + 1) % ring.size()];
    sum += double{1} * a.x * b.y - double{1} * b.x * a.y;
  }
  return sum;
}

std::unique_ptr<OGRPolygon> to_polygon(const Rings& rings) {
  auto polygon = std::make_unique<OGRPolygon>();
  for (const auto& ring : rings) {
    auto line = std::make_unique<OGRLinearRing>();
    for (const Corner corner : ring) line->addPoint(corner.x, corner.y);
    line->closeRings();
    polygon->addRingDirectly(line.release());
  }
  return polygon;
}

Rings to_rings(const OGRPolygon& polygon) {
  Rings rings;
  for (const OGRLinearRing* line : polygon) {
    auto& ring = rings.emplace_back();
    for (int i = 0; i + 1 < line->getNumPoints(); ++i) {
      ring.push_back({static_cast<std::int32_t>(std::lround(line->getX(i))), static_cast<std::int32_t>(std::lround(line->getY(i)))});
    }
  }
  return rings;
}

using Polygons = std::vector<std::unique_ptr<OGRPolygon>>;   // in pixels

// As polygons that every program accepts: rings that touch themselves at a corner, and what simplification made cross, are taken apart.
Polygons valid_polygons(const Rings& rings) {
  const gdal::ErrorScope silence;   // GEOS explains every invalid polygon
  Polygons result;
  auto polygon = to_polygon(rings);
  if (polygon->IsValid()) {
    result.push_back(std::move(polygon));
    return result;
  }
  const std::unique_ptr<OGRGeometry> repaired(polygon->MakeValid());
  const std::function<void(const OGRGeometry&)> collect = [&](const OGRGeometry& geometry) {
    const auto type = wkbFlatten(geometry.getGeometryType());
    if (type == wkbPolygon) result.emplace_back(geometry.toPolygon()->clone());
    else if (type == wkbMultiPolygon || type == wkbGeometryCollection)
      for (const auto* part : *geometry.toGeometryCollection()) collect(*part);
  };
  if (repaired) collect(*repaired);
  return result;
}

// Takes polygons from GDALPolygonize one by one and writes them: no region waits for another.
class FeatureSink final : public OGRLayer {
 public:
  FeatureSink(const PolygonWriterOptions& options, const Junctions& junctions, GrowingTextFile& file, const Placement& placement)
      : options_(options), junctions_(junctions), file_(file), placement_(placement), definition_(new OGRFeatureDefn("regions")) {
    definition_->Reference();
    OGRFieldDefn field("class", OFTInteger);
    definition_->AddFieldDefn(&field);
  }
  ~FeatureSink() override { definition_->Release(); }

  std::exception_ptr failure;   // exceptions must not pass through GDAL

  void ResetReading() override {}
  OGRFeature* GetNextFeature() override { return nullptr; }
  OGRFeatureDefn* GetLayerDefn() override { return definition_; }
  int TestCapability(const char* capability) override { return EQUAL(capability, OLCSequentialWrite); }

 protected:
  OGRErr ICreateFeature(OGRFeature* feature) override {
    // After a failure the rest is let pass: GDAL 3.6 leaks its open regions when a layer refuses one.
    if (failure) return OGRERR_NONE;
    try {
      const int index = feature->GetFieldAsInteger(0);
      if (index != options_.ignore_index) write_region(index, to_rings(*feature->GetGeometryRef()->toPolygon()));
    } catch (...) {
      failure = std::current_exception();
    }
    return OGRERR_NONE;
  }

 private:
  void write_region(int index, const Rings& exact) {
    double area = 0;   // holes are smaller than what they are in, whatever the direction of the rings
    Rings simple;
    for (std::size_t i = 0; i < exact.size(); ++i) {
      area += (i == 0 ? 0.5 : -0.5) * std::abs(twice_area(exact[i]));
      auto ring = options_.simplify_pixels > 0 ? simplify_ring(exact[i], junctions_, options_.simplify_pixels) : exact[i];
      const bool vanished = ring.size() < 3 || twice_area(ring) == 0;
      if (vanished && i == 0) return;
      if (!vanished) simple.push_back(std::move(ring));
    }
    const Polygons polygons = valid_polygons(simple);
    if (polygons.empty()) return;
    std::string coordinates;
    for (const auto& polygon : polygons) coordinates += (coordinates.empty() ? "" : ",") + polygon_text(*polygon);
    if (polygons.size() > 1) coordinates = "[" + coordinates + "]";
    const std::string type = polygons.size() > 1 ? "MultiPolygon" : "Polygon";
    file_.append((written_++ ? ",\n" : "\n") + std::string("{\"type\":\"Feature\",\"properties\":") + properties(index, area) +
                 ",\"geometry\":{\"type\":\"" + type + "\",\"coordinates\":" + coordinates + "}}");
  }

  std::string properties(int index, double area) const {
    const auto i = static_cast<std::size_t>(index);
    const std::string name = i < options_.class_names.size() ? options_.class_names[i] : "class " + std::to_string(index);
    const Colour colour = i < options_.palette.size() ? options_.palette[i] : Colour{};
    const nlohmann::json value = {{"class", index},
                                  {"name", name},
                                  {"area_pixels", static_cast<std::int64_t>(area)},
                                  {"objectType", "annotation"},
                                  {"classification", {{"name", name}, {"color", {colour.red, colour.green, colour.blue}}}}};
    return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  }

  // RFC 7946: outer rings run counterclockwise, holes clockwise, as drawn with y up.
  std::string polygon_text(const OGRPolygon& polygon) const {
    std::string text;
    for (const OGRLinearRing* ring : polygon) {
      const bool outer = text.empty();
      const bool clockwise = static_cast<bool>(ring->isClockwise()) != placement_.mirrors();
      text += outer ? "[[" : ",[";
      const int count = ring->getNumPoints();
      for (int i = 0; i < count; ++i) {
        const int k = clockwise == outer ? count - 1 - i : i;
        const auto [x, y] = placement_.place(ring->getX(k), ring->getY(k));
        text += std::string(i ? ",[" : "[") + to_json_number(x) + "," + to_json_number(y) + "]";
      }
      text += "]";
    }
    return text + "]";
  }

  const PolygonWriterOptions& options_;
  const Junctions& junctions_;
  GrowingTextFile& file_;
  const Placement& placement_;
  OGRFeatureDefn* definition_;
  std::int64_t written_ = 0;
};

class GeoJsonWriter final : public MaskWriter {
 public:
  explicit GeoJsonWriter(const PolygonWriterOptions& options)
      : options_(options), placement_(options), file_(options.path), spool_file_(options.path), junctions_(options.width) {
    const gdal::ErrorScope errors;
    CPLStringList creation;
    creation.SetNameValue("COMPRESS", "LZW");
    creation.SetNameValue("BLOCKYSIZE", std::to_string(kSpoolRows).c_str());
    creation.SetNameValue("BIGTIFF", "YES");
    spool_.reset(GetGDALDriverManager()->GetDriverByName("GTiff")->Create(spool_file_->path().c_str(), static_cast<int>(options.width),
                                                                          static_cast<int>(options.height), 1, GDT_Byte, creation.List()));
    if (!spool_) fail(errors);
  }

  void append(const ImageU8& rows) override {
    require(rows.width() == options_.width && rows.channels() == 1, "rows do not fit the mask");
    require(rows_ + rows.height() <= options_.height, "more rows than the mask has");
    if (rows.empty()) return;
    const gdal::ErrorScope errors;
    const auto y = static_cast<int>(rows_), width = static_cast<int>(rows.width()), height = static_cast<int>(rows.height());
    // GDAL only reads from it.
    auto* samples = const_cast<std::uint8_t*>(rows.samples().data());
    const CPLErr result =
        spool_->GetRasterBand(1)->RasterIO(GF_Write, 0, y, width, height, samples, width, height, GDT_Byte, 0, 0, nullptr);
    if (result != CE_None || errors.failed()) fail(errors);
    junctions_.append(rows);
    rows_ += rows.height();
  }

  void finish() override {
    require(rows_ == options_.height, "the mask lacks rows");
    junctions_.finish();
    file_.append("{\"type\":\"FeatureCollection\",");
    if (!placement_.crs_name().empty())
      file_.append("\"crs\":{\"type\":\"name\",\"properties\":{\"name\":\"" + placement_.crs_name() + "\"}},");
    file_.append("\"features\":[");
    FeatureSink sink(options_, junctions_, file_, placement_);
    const gdal::ErrorScope errors;
    spool_->FlushCache(false);
    if (errors.failed()) fail(errors);
    const CPLErr result = GDALPolygonize(spool_->GetRasterBand(1), nullptr, OGRLayer::ToHandle(&sink), 0, nullptr, nullptr, nullptr);
    if (sink.failure) std::rethrow_exception(sink.failure);
    if (result != CE_None || errors.failed()) fail(errors);
    file_.append("\n]}\n");
    spool_.reset();
    spool_file_.reset();
    file_.commit();
  }

 private:
  [[noreturn]] void fail(const gdal::ErrorScope& errors) {
    spool_.reset();
    fail_write(options_.path, write_failure_reason(spool_file_->path(), errors.reason(spool_file_->path(), "GDAL gave no reason")));
  }

  PolygonWriterOptions options_;
  Placement placement_;
  GrowingTextFile file_;
  std::optional<AtomicFile> spool_file_;   // the class map until it is traced; never committed
  gdal::DatasetPtr spool_;                 // after its file: closed before that is removed
  Junctions junctions_;
  std::int64_t rows_ = 0;
};

}  // namespace

std::unique_ptr<MaskWriter> create_polygon_writer(const PolygonWriterOptions& options) {
  require(options.width > 0 && options.height > 0 && options.width < INT32_MAX && options.height < INT32_MAX,
          "a mask's side is 1 to 2^31 - 2");
  require(options.simplify_pixels >= 0, "a tolerance is not negative");
  gdal::initialise();
  return std::make_unique<GeoJsonWriter>(options);
}

}  // namespace fovea
