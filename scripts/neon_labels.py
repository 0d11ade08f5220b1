#!/usr/bin/env python3
"""Makes the second training set of assets/models/aerial: five aerial photographs at 0.1 m a pixel with land-cover masks.

The photographs (NEON, CC0) are inside the PyPI package that scripts/requirements/demo-image.txt pins. Of the demo's own photograph, the only one
with a meadow, the left 40% are used; the other 60% are not seen in training. The masks are ours: a road outline drawn by hand and rules on colour,
and 255 (not labelled) where neither is sure. Needs numpy and Pillow.

    .deps/venv/bin/pip download --no-deps --require-hashes -r scripts/requirements/demo-image.txt -d downloads
    scripts/neon_labels.py downloads/deepforest-*.whl -o data/neon
    scripts/pack_dataset.py data/neon -o data/neon.safetensors
"""

import argparse
import io
import zipfile
from pathlib import Path

import numpy
from PIL import Image, ImageDraw, ImageFilter

LAND, ROAD, VEGETATION, IGNORE = 0, 1, 3, 255
ROAD_EDGE_PX = 9   # not labelled on either side of the outline, which is drawn to about that accuracy

# x, y in pixels: down the left kerb, then up the right one.
YELLOWSTONE_ROAD = [(136, -2), (146, 75), (170, 180), (205, 300), (255, 420), (322, 560), (385, 690), (447, 790), (520, 900), (565, 975),
                    (615, 1037), (700, 1037), (640, 965), (583, 885), (530, 800), (468, 695), (402, 570), (340, 455), (290, 330),
                    (258, 240), (226, 110), (208, -2)]


def channels(rgb):
    return (rgb[..., i].astype(numpy.int32) for i in range(3))


def grey_and_bright(rgb, brightness, spread=26):
    """Dead wood, logs, rock: their class is a matter of taste."""
    red, green, blue = channels(rgb)
    return (rgb.max(-1) > brightness) & (rgb.max(-1).astype(numpy.int32) - rgb.min(-1) < spread)


def forest_mask(rgb):
    """Trees, their shadows and the green floor between them; dead wood is left out."""
    mask = numpy.full(rgb.shape[:2], VEGETATION, numpy.uint8)
    mask[grey_and_bright(rgb, 150)] = IGNORE
    return mask


def forest_with_road_mask(rgb, outline):
    mask = forest_mask(rgb)
    road = Image.new("L", (rgb.shape[1], rgb.shape[0]))
    ImageDraw.Draw(road).polygon(outline, fill=255)
    side = 2 * ROAD_EDGE_PX + 1
    inside = numpy.asarray(road.filter(ImageFilter.MinFilter(side))) > 0
    around = numpy.asarray(road.filter(ImageFilter.MaxFilter(side))) > 0
    mask[around] = IGNORE
    mask[inside] = ROAD
    return mask


def sandy_forest_mask(rgb):
    """Green crowns on bare sand; shadows and litter between the two are left out."""
    red, green, blue = channels(rgb)
    mask = numpy.full(rgb.shape[:2], IGNORE, numpy.uint8)
    mask[2 * green - red - blue > 24] = VEGETATION
    mask[(red - green >= 6) & (red > 120)] = LAND
    return mask


def meadow_mask(rgb):
    """Grass, trees and their shadows; left out: dead wood, grey shrubs, and ground that shows more soil than grass."""
    red, green, _ = channels(rgb)
    mask = forest_mask(rgb)
    mask[(red >= green) & (red > 100)] = IGNORE
    return mask


# Name: (share of the width that is used, from the left; how it is labelled).
SCENES = {
    "2019_YELL_2_528000_4978000_image_crop2": (0.4, meadow_mask),
    "2019_YELL_2_541000_4977000_image_crop": (1, lambda rgb: forest_with_road_mask(rgb, YELLOWSTONE_ROAD)),
    "OSBS_029": (1, sandy_forest_mask),
    "SOAP_031": (1, forest_mask),
    "SOAP_061": (1, forest_mask),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for X.png and X_mask.png")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(arguments.wheel) as archive:
        for name, (width_share, label) in SCENES.items():
            image = Image.open(io.BytesIO(archive.read(f"deepforest/data/{name}.png"))).convert("RGB")
            image = image.crop((0, 0, round(image.width * width_share), image.height))
            mask = label(numpy.asarray(image))
            image.save(arguments.output / f"{name}.png")
            Image.fromarray(mask).save(arguments.output / f"{name}_mask.png")
            shares = {value: float((mask == value).mean().round(3)) for value in (LAND, ROAD, VEGETATION, IGNORE)}
            print(f"{name}: {image.width}x{image.height}, shares {shares}")


if __name__ == "__main__":
    main()
