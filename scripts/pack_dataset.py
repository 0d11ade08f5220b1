#!/usr/bin/env python3
"""Packs a folder of X.jpg|png|tif with X_mask.png into one .safetensors file that `fovea train` and `fovea eval` read.

For machines where Fovea was built without its image readers (FOVEA_IMAGES=OFF), such as bare GPU machines. The file holds uint8 tensors
X.image [height, width, 3] (RGB) and X.mask [height, width] (class indices as stored). Needs numpy and either OpenCV (cv2) or Pillow.
"""

import argparse
import json
import os
import struct
import sys
from pathlib import Path

IMAGE_ENDINGS = {".jpg", ".jpeg", ".png", ".tif", ".tiff"}
MASK_ENDING = "_mask"


def load_readers():
    """Returns (read_rgb, read_mask): path -> contiguous uint8 array."""
    try:
        import cv2
    except ImportError:
        from PIL import Image
        import numpy

        Image.MAX_IMAGE_PIXELS = None

        def read_rgb(path):
            from PIL import ImageOps
            return numpy.ascontiguousarray(ImageOps.exif_transpose(Image.open(path)).convert("RGB"))

        def read_mask(path):
            mask = Image.open(path)
            if mask.mode not in ("L", "P"):
                raise ValueError(f"mode {mask.mode}, expected 8-bit grey or palette")
            return numpy.ascontiguousarray(mask)
    else:
        def decoded(path, flags):
            image = cv2.imread(str(path), flags)
            if image is None:
                raise ValueError("cannot be decoded")
            return image

        def read_rgb(path):
            return cv2.cvtColor(decoded(path, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)

        def read_mask(path):
            # OpenCV resolves a palette into colours, and the indices are lost.
            if is_palette_png(path):
                raise ValueError("a palette PNG, which needs Pillow to be read as indices")
            mask = decoded(path, cv2.IMREAD_UNCHANGED)
            if mask.ndim != 2 or mask.dtype.name != "uint8":
                raise ValueError("expected one 8-bit band")
            return mask
    return read_rgb, read_mask


def is_palette_png(path):
    header = path.read_bytes()[:26]
    return header[:8] == b"\x89PNG\r\n\x1a\n" and header[25] == 3   # the colour type in IHDR


def collect(folder, only):
    images = sorted(p for p in folder.iterdir() if p.suffix.lower() in IMAGE_ENDINGS and not p.stem.endswith(MASK_ENDING))
    chosen = [p for p in images if not only or p.stem in only]
    missing = set(only) - {p.stem for p in chosen}
    if missing or not chosen:
        raise SystemExit(f"{folder}: " + (f"no image named {sorted(missing)[0]}" if missing else "no images"))
    return chosen


def read_tensors(files):
    read_rgb, read_mask = load_readers()
    tensors = {}
    for file in files:
        mask_file = file.with_name(file.stem + MASK_ENDING + ".png")
        subject = file
        try:
            image = read_rgb(file)
            subject = mask_file
            mask = read_mask(mask_file)
        except (OSError, ValueError) as error:
            raise SystemExit(f"{subject}: {str(error).splitlines()[0]}") from None
        if mask.shape != image.shape[:2]:
            raise SystemExit(f"{mask_file}: {mask.shape[1]}x{mask.shape[0]}, its image {image.shape[1]}x{image.shape[0]}")
        tensors[file.stem + ".image"] = image
        tensors[file.stem + ".mask"] = mask
        print(f"{file.name}: {image.shape[1]}x{image.shape[0]}", file=sys.stderr)
    return tensors


def write_safetensors(path, tensors):
    header, offset = {}, 0
    for name, array in sorted(tensors.items()):
        header[name] = {"dtype": "U8", "shape": list(array.shape), "data_offsets": [offset, offset + array.nbytes]}
        offset += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    partial = path.with_name(f".{path.name}.partial")
    with open(partial, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, array in sorted(tensors.items()):
            file.write(array.tobytes())
    os.replace(partial, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True, help="NAME.safetensors")
    parser.add_argument("--only", default="", help="names (X) to take, separated by commas; default: all")
    arguments = parser.parse_args()
    only = {name for name in arguments.only.split(",") if name}
    write_safetensors(arguments.output, read_tensors(collect(arguments.folder, only)))


if __name__ == "__main__":
    main()
