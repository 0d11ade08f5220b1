"""What is written, opened by other hands: GDAL's Python module and its script that validates cloud-optimised GeoTIFFs."""
import json
import os
import sys
import unittest
from pathlib import Path

try:
    from osgeo import gdal, ogr, osr
    from osgeo_utils.samples import validate_cloud_optimized_geotiff
except ImportError:
    # Distributions give the module to their own interpreter only.
    if sys.executable != "/usr/bin/python3" and Path("/usr/lib/python3/dist-packages/osgeo").exists():
        os.execv("/usr/bin/python3", ["/usr/bin/python3", *sys.argv])
    print("NOT TESTED: GDAL's Python module is not installed (apt-get install python3-gdal)", file=sys.stderr)
    sys.exit(0)

sys.path.insert(0, str(Path(__file__).parent))
import tiny_samples  # noqa: E402
from cli_test import WithFolder  # noqa: E402

gdal.UseExceptions()
ogr.UseExceptions()
osr.UseExceptions()
WIDTH, HEIGHT = 560, 330
NORTH_UP = (370000.0500000001, 0.1 + 2 ** -50, 0.0, 5800000.3, 0.0, -0.30000000000000004)
TURNED = (370000.05, 0.07071067811865477, 0.07071067811865475, 5800000.3, 0.0707106781186547, -0.07071067811865472)


def utm():
    reference = osr.SpatialReference()
    reference.ImportFromEPSG(25833)
    return reference


def write_scene(path, rgb, geotransform):
    image = gdal.GetDriverByName("GTiff").Create(str(path), WIDTH, HEIGHT, 3, gdal.GDT_Byte, ["TILED=YES"])
    image.SetGeoTransform(geotransform)
    image.SetSpatialRef(utm())
    for band in range(3):
        image.GetRasterBand(band + 1).WriteRaster(0, 0, WIDTH, HEIGHT, rgb[band])


def samples(path, band=1):
    dataset = gdal.Open(str(path))
    return dataset.GetRasterBand(band).ReadRaster(0, 0, dataset.RasterXSize, dataset.RasterYSize)


class Outputs(WithFolder):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        png = gdal.Open(str(tiny_samples.write_png(cls.shared / "pixels.png", WIDTH, HEIGHT)))
        rgb = [png.GetRasterBand(band).ReadRaster(0, 0, WIDTH, HEIGHT) for band in (1, 2, 3)]
        write_scene(cls.shared / "north.tif", rgb, NORTH_UP)
        write_scene(cls.shared / "turned.tif", rgb, TURNED)

    def made(self, *arguments, image="north"):
        result = self.segment(self.shared / f"{image}.tif", *arguments)
        self.assertEqual((result.returncode, result.stderr), (0, ""))

    def check_place(self, path, geotransform):
        dataset = gdal.Open(str(path))
        self.assertEqual(dataset.GetGeoTransform(), geotransform)   # doubles: to the last bit
        self.assertTrue(dataset.GetSpatialRef().IsSame(utm()))

    def test_cog_passes_gdals_own_validation(self):
        self.made("--format", "cog,png")
        warnings, errors, _ = validate_cloud_optimized_geotiff.validate(str(self.out / "north_mask.tif"), full_check=True)
        self.assertEqual((warnings, errors), ([], []))
        dataset = gdal.Open(str(self.out / "north_mask.tif"))
        band = dataset.GetRasterBand(1)
        self.assertEqual(band.GetOverviewCount(), 1)
        self.assertEqual([dataset.GetMetadataItem(f"CLASS_{i}") for i in range(3)], ["ground", "roof", "tree"])
        self.assertEqual(band.GetColorTable().GetColorEntry(1)[:3], (220, 60, 50))
        self.assertEqual(samples(self.out / "north_mask.tif"), samples(self.out / "north_mask.png"))

    def test_georeference_is_equal_to_the_last_bit(self):
        for image, geotransform in (("north", NORTH_UP), ("turned", TURNED)):
            for kind in ("tif", "cog"):
                self.made("--format", f"{kind},probs", image=image)
                self.check_place(self.out / f"{image}_mask.tif", geotransform)
                self.check_place(self.out / f"{image}_probs.tif", geotransform)

    def test_a_window_lies_where_it_was_cut_and_a_scale_changes_no_size(self):
        self.made("--format", "cog", "--window", "100,50,320,160", "--scale", "0.5")
        t = NORTH_UP
        self.check_place(self.out / "north_mask.tif", (t[0] + 100 * t[1], t[1], 0.0, t[3] + 50 * t[5], 0.0, t[5]))
        dataset = gdal.Open(str(self.out / "north_mask.tif"))
        self.assertEqual((dataset.RasterXSize, dataset.RasterYSize), (320, 160))

    def test_probabilities_agree_with_the_mask(self):
        self.made("--format", "tif,probs")
        mask = samples(self.out / "north_mask.tif")
        probabilities = [samples(self.out / "north_probs.tif", band) for band in (1, 2, 3)]
        dataset = gdal.Open(str(self.out / "north_probs.tif"))
        self.assertEqual([dataset.GetRasterBand(i).GetDescription() for i in (1, 2, 3)], ["ground", "roof", "tree"])
        for label, *shares in zip(mask, *probabilities):
            self.assertEqual(shares[label], max(shares))
            self.assertLessEqual(abs(sum(shares) - 255), 2)

    def test_polygons_burnt_back_are_the_mask(self):
        for image, geotransform in (("north", NORTH_UP), ("turned", TURNED)):
            self.made("--format", "png,geojson", "--simplify", "0", image=image)
            source = ogr.Open(str(self.out / f"{image}.geojson"))
            layer = source.GetLayer(0)
            self.assertTrue(layer.GetSpatialRef().IsSame(utm(), ["IGNORE_DATA_AXIS_TO_SRS_AXIS_MAPPING=YES"]))
            burnt = gdal.GetDriverByName("MEM").Create("", WIDTH, HEIGHT, 1)
            burnt.SetGeoTransform(geotransform)
            burnt.SetSpatialRef(layer.GetSpatialRef())
            burnt.GetRasterBand(1).Fill(255)
            gdal.RasterizeLayer(burnt, [1], layer, options=["ATTRIBUTE=class"])
            self.assertEqual(burnt.GetRasterBand(1).ReadRaster(0, 0, WIDTH, HEIGHT), samples(self.out / f"{image}_mask.png"))

    def test_simplified_polygons_are_valid_and_cover_the_image(self):
        self.made("--format", "geojson", "--polygon-coordinates", "epsg4326")
        source = ogr.Open(str(self.out / "north.geojson"))
        layer = source.GetLayer(0)
        corner = osr.CoordinateTransformation(utm(), layer.GetSpatialRef())
        places = [corner.TransformPoint(NORTH_UP[0] + x * NORTH_UP[1], NORTH_UP[3] + y * NORTH_UP[5])[:2]
                  for x in (0, WIDTH) for y in (0, HEIGHT)]
        # The four corners of the image are corners of regions, which simplification keeps. A degree is at most 111 km: 0.1 mm.
        extents = [(min(values), max(values)) for values in zip(*places)]
        found = layer.GetExtent()
        for low, high in (found[:2], found[2:]):
            nearest = min(abs(low - lower) + abs(high - upper) for lower, upper in extents)
            self.assertLess(nearest, 1e-9)
        for feature in layer:
            self.assertTrue(feature.GetGeometryRef().IsValid())
            self.assertIn(feature.GetField("name"), ("ground", "roof", "tree"))

    def test_coco_runs_decode_to_the_mask(self):
        self.made("--format", "png,coco")
        mask, document = samples(self.out / "north_mask.png"), json.loads((self.out / "north_coco.json").read_text())
        painted = bytearray(b"\xff" * (WIDTH * HEIGHT))
        for annotation in document["annotations"]:
            at, value = 0, 0
            for count in run_lengths(annotation["segmentation"]["counts"]):
                if value:
                    for pixel in range(at, at + count):   # column by column
                        painted[pixel % HEIGHT * WIDTH + pixel // HEIGHT] = annotation["category_id"] - 1
                at, value = at + count, 1 - value
        self.assertEqual(bytes(painted), mask)


def run_lengths(text):
    """pycocotools' compressed counts."""
    counts, at = [], 0
    while at < len(text):
        value, shift, more = 0, 0, True
        while more:
            bits = ord(text[at]) - 48
            value |= (bits & 0x1f) << shift
            more, at, shift = bool(bits & 0x20), at + 1, shift + 5
            if not more and bits & 0x10:
                value |= -1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
    return counts


if __name__ == "__main__":
    unittest.main()
