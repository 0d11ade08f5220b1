"""A small model folder, images, and a reader of masks, with nothing but Python's own library."""
import json
import math
import random
import struct
import zlib
from pathlib import Path

WIDTH, MLP, DEPTH, HEADS, PATCH, GLOBALS, FUSED, STEM, CLASSES = 32, 48, 2, 2, 8, 2, 16, 8, 3


def config():
    return {
        "format": "fovea-model/1", "name": "tiny", "description": "for tests",
        "encoder": {"width": WIDTH, "depth": DEPTH, "heads": HEADS, "mlp_width": MLP, "patch": PATCH, "global_tokens": GLOBALS,
                    "positions": {"kind": "rope", "base": 100.0}, "layer_norm_eps": 1e-6, "layer_scale": True,
                    "attention": [{"window": [5, 5], "dilation": [1]}] * DEPTH},
        "decoder": {"layers": [1, 2], "width": FUSED, "stem_width": STEM},
        "preprocessing": {"mean": [0.485, 0.456, 0.406], "deviation": [0.229, 0.224, 0.225]},
        "classes": [{"name": n, "colour": c} for n, c in (("ground", [200, 180, 90]), ("roof", [220, 60, 50]), ("tree", [30, 140, 60]))],
        "ignore_index": 255, "sources": [], "training": {}, "scores": {}}


def tensor_shapes(width=WIDTH, mlp=MLP, depth=DEPTH):
    def norm(name, width):
        return {f"{name}.weight": [width], f"{name}.bias": [width]}

    def linear(name, inner, outer):
        return {f"{name}.weight": [outer, inner], f"{name}.bias": [outer]}

    def convolution(name, inner, outer):
        return {f"{name}.weight": [outer, inner, 3, 3], f"{name}.bias": [outer]}

    def block(name, width):
        return norm(f"{name}.norm", width) | convolution(f"{name}.conv1", width, width) | convolution(f"{name}.conv2", width, width)

    shapes = {"encoder.patch.weight": [width, 3, PATCH, PATCH], "encoder.patch.bias": [width], "encoder.global_tokens": [GLOBALS, width]}
    for layer in range(depth):
        prefix = f"encoder.blocks.{layer}"
        shapes |= norm(f"{prefix}.norm1", width) | norm(f"{prefix}.norm2", width)
        shapes |= linear(f"{prefix}.attention.qkv", width, 3 * width) | linear(f"{prefix}.attention.out", width, width)
        shapes |= linear(f"{prefix}.mlp.fc1", width, mlp) | linear(f"{prefix}.mlp.fc2", mlp, width)
        shapes |= {f"{prefix}.scale1": [width], f"{prefix}.scale2": [width]}
    shapes |= norm("encoder.norm", width)
    for tap in range(2):
        shapes |= linear(f"decoder.taps.{tap}", width, FUSED)
    shapes |= block("decoder.token_block", FUSED) | convolution("decoder.stem_half", 3, STEM) | norm("decoder.stem_norm", STEM)
    shapes |= convolution("decoder.stem_quarter", STEM, 2 * STEM) | linear("decoder.to_quarter", FUSED, 2 * STEM)
    shapes |= block("decoder.quarter_block", 2 * STEM) | linear("decoder.to_half", 2 * STEM, STEM) | block("decoder.half_block", STEM)
    shapes |= norm("decoder.head_norm", STEM) | convolution("decoder.head", STEM, 4 * CLASSES)
    return shapes


def write_model(folder, change_config=None, drop_tensor=None):
    """Weights are the same on every machine: Python's generator and its order are fixed."""
    folder = Path(folder)
    folder.mkdir(parents=True)
    settings = config()
    if change_config:
        change_config(settings)
    (folder / "config.json").write_text(json.dumps(settings))
    generator, header, body = random.Random(7), {}, bytearray()
    for name, shape in tensor_shapes().items():
        count = math.prod(shape)
        scale = 1 / math.sqrt(math.prod(shape[1:])) if len(shape) > 1 else 0.2
        offset = 1.0 if "norm" in name and name.endswith("weight") else 0.0
        values = [offset + scale * generator.gauss(0, 1) for _ in range(count)]
        if name == drop_tensor:
            continue
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(body), len(body) + 4 * count]}
        body += struct.pack(f"<{count}f", *values)
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + body)
    return folder


def write_huge_model(folder, float32_bytes):
    """Whole, and of more float32 weights than that; its file takes no room on the disk, because nothing is written but the header."""
    folder, width, heads = Path(folder), 16384, 64
    folder.mkdir(parents=True)
    mlp, depth = 4 * width, 2 + float32_bytes // (4 * 12 * width * width)
    settings = config()
    settings["encoder"].update(width=width, heads=heads, mlp_width=mlp, depth=depth, attention=[{"window": [5, 5], "dilation": [1]}] * depth)
    settings["decoder"]["layers"] = [1, depth]
    (folder / "config.json").write_text(json.dumps(settings))
    header, end = {}, 0
    for name, shape in tensor_shapes(width, mlp, depth).items():
        size = 2 * math.prod(shape)
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    with open(folder / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)
    return folder


def _chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def write_png(path, width, height, seed=1):
    """Waves and blocks in colour, the same for the same seed."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    generator, rows = random.Random(seed), bytearray()
    phases = [generator.random() * 6 for _ in range(3)]
    for y in range(height):
        rows.append(0)
        for x in range(width):
            block = 60 if (x // 23 + y // 17) % 2 else 0
            rows += bytes(int(97 + block + 70 * math.sin(x / 11 + phases[c]) * math.cos(y / 7 + c)) for c in range(3))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(bytes(rows))) + _chunk(b"IEND", b""))
    return path


def read_mask(path):
    """(width, height, palette, indices) of an 8-bit palette PNG."""
    data, at, compressed, palette = Path(path).read_bytes(), 8, b"", b""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + size]
        if kind == b"IHDR":
            width, height, bits, colour = struct.unpack(">IIBB", body[:10])
            assert (bits, colour) == (8, 3), "an 8-bit palette image"
        elif kind == b"PLTE":
            palette = body
        elif kind == b"IDAT":
            compressed += body
        at += 12 + size
    raw, previous, indices = zlib.decompress(compressed), bytes(width), bytearray()
    for y in range(height):
        kind, line = raw[y * (width + 1)], bytearray(raw[y * (width + 1) + 1:(y + 1) * (width + 1)])
        for x in range(width):
            left, up, corner = line[x - 1] if x else 0, previous[x], previous[x - 1] if x else 0
            estimate = left + up - corner
            paeth = min((abs(estimate - left), 0, left), (abs(estimate - up), 1, up), (abs(estimate - corner), 2, corner))[2]
            line[x] = (line[x] + (0, left, up, (left + up) // 2, paeth)[kind]) & 255
        indices += line
        previous = bytes(line)
    return width, height, palette, bytes(indices)
