#!/usr/bin/env python3
"""Makes the second training set of assets/models/aerial: five aerial photographs at 0.1 m a pixel with land-cover masks.

The photographs (NEON, CC0) are inside the PyPI package that scripts/requirements/demo-image.txt pins. Of the two that `make demo` segments only the
upper part is used for training; the lower part is written apart, to score a model on. The masks are ours: a road outline drawn by hand and rules
on colour and texture, and 255 (not labelled) where they are not sure. Needs numpy and Pillow.

    .deps/venv/bin/pip download --no-deps --require-hashes -r scripts/requirements/demo-image.txt -d downloads
    scripts/neon_labels.py downloads/deepforest-*.whl -o data/neon
    scripts/pack_dataset.py data/neon/train -o data/neon.safetensors
    scripts/pack_dataset.py data/neon/unseen -o data/neon_unseen.safetensors
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


def mean_around(plane, radius):
    """Mean over the square of side 2 radius + 1 around each pixel; the border is reflected."""
    padded = numpy.pad(plane.astype(numpy.float64), radius, mode="reflect").cumsum(0).cumsum(1)
    sums = numpy.pad(padded, ((1, 0), (1, 0)))
    side = 2 * radius + 1
    return (sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]) / side**2


def without_specks(mask, radius):
    """Only those parts of the mask that a square of side 2 radius + 1 fits into, and what of the mask is that near to them."""
    core = mean_around(mask, radius) > 1 - 1e-6
    return mask & (mean_around(core, 2 * radius) > 1e-6)


def grey_and_bright(rgb, brightness, spread=26):
    """Dead wood, logs, rock: their class is a matter of taste."""
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
    """Dry open ground is land; grass, shrubs, trees and their shadows are vegetation.

    Over 1.7 m around a pixel, open ground is bright, even and without shadow. There the green-red index (green - red) / (green + red) says how
    much of it is green: soil and dry, thin grass lie under 0.032, closed grass above 0.042. Conifers are as brown as soil, but neither even
    nor without shadow; grey-blue shrubs are uneven. Ground must be 2 m wide, which brown crowns with an even middle are not.
    """
    red, green, blue = (mean_around(plane, 8) for plane in channels(rgb))
    brightness = rgb.mean(-1)
    mean = (red + green + blue) / 3
    deviation = numpy.sqrt(numpy.maximum(mean_around(brightness**2, 8) - mean**2, 0))
    shadow = mean_around(brightness < 75, 8)
    greenness = (green - red) / (green + red)
    even = (mean > 125) & (shadow < 0.04) & (deviation < 34)
    shrubs = (mean > 120) & (shadow < 0.1) & (deviation > 38) & (blue > 0.855 * green)

    mask = numpy.full(rgb.shape[:2], IGNORE, numpy.uint8)
    mask[(greenness > 0.05) | (shadow > 0.12) | (even & (greenness >= 0.042)) | shrubs] = VEGETATION
    mask[mean_around(grey_and_bright(rgb, 165, spread=30), 4) > 0.4] = IGNORE
    mask[without_specks(even & (greenness < 0.032), radius=10)] = LAND
    return mask


# Name: (share of the height that is trained on, from the top; how it is labelled).
SCENES = {
    "2019_YELL_2_528000_4978000_image_crop2": (0.5, meadow_mask),
    "2019_YELL_2_541000_4977000_image_crop": (0.6, lambda rgb: forest_with_road_mask(rgb, YELLOWSTONE_ROAD)),
    "OSBS_029": (1, sandy_forest_mask),
    "SOAP_031": (1, forest_mask),
    "SOAP_061": (1, forest_mask),
}


def save(folder, name, rgb, mask):
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rgb).save(folder / f"{name}.png")
    Image.fromarray(mask).save(folder / f"{name}_mask.png")
    shares = {value: float((mask == value).mean().round(3)) for value in (LAND, ROAD, VEGETATION, IGNORE)}
    print(f"{folder.name}/{name}: {rgb.shape[1]}x{rgb.shape[0]}, shares {shares}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for train/ and unseen/, X.png and X_mask.png")
    arguments = parser.parse_args()
    with zipfile.ZipFile(arguments.wheel) as archive:
        for name, (height_share, label) in SCENES.items():
            rgb = numpy.asarray(Image.open(io.BytesIO(archive.read(f"deepforest/data/{name}.png"))).convert("RGB"))
            mask = label(rgb)
            rows = round(rgb.shape[0] * height_share)
            save(arguments.output / "train", name, rgb[:rows], mask[:rows])
            if rows < rgb.shape[0]:
                save(arguments.output / "unseen", name, rgb[rows:], mask[rows:])


if __name__ == "__main__":
    main()
