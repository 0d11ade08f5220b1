"""Who may know whom: checks the includes of every source file against the project's dependency rules.

    app -> core -> kernels        nobody includes app; kernels include only std, Highway and CUDA; only core/image includes OpenCV and GDAL;
                                  only app/viewer includes GLFW, OpenGL and Dear ImGui; nothing outside core/attention includes kernels.

Usage: check_includes.py REPOSITORY            prints a line a violation, exits 1 if there is one
       check_includes.py --self-test           proves that each rule can fail
"""

import pathlib
import re
import sys

INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^">]+)[">]', re.MULTILINE)
SOURCES = {".h", ".cpp", ".cu", ".cuh", ".inc"}

# Libraries that only some folders may know: pattern of the included path, folders that may, name for the message.
RESTRICTED = [
    (re.compile(r"^(opencv2?/|gdal|ogr_|ogrsf|cpl_|png\.h|jpeglib\.h|turbojpeg)"), ("core/image/", "tests/image/"), "OpenCV, GDAL and codecs"),
    (re.compile(r"^(GLFW/|GL/|glad|imgui|implot|imcmd|portable_file_dialogs)"), ("app/viewer/", "tests/gui/"), "GLFW, OpenGL and Dear ImGui"),
    (re.compile(r"^(torch|ATen|c10|caffe2)/"), ("core/base/", "core/attention/", "core/model/", "core/train/", "core/segment/", "app/", "tests/"), "torch"),
    (re.compile(r"^(cuda|cute/|cutlass/)"), ("kernels/", "core/attention/", "tests/bench/"), "CUDA"),
    (re.compile(r"^hwy/"), ("kernels/cpu/", "tests/kernels/"), "Highway"),
    (re.compile(r"^CLI/"), ("app/",), "CLI11"),
]

# Folder -> folders of this project that it may include besides itself.
LAYERS = {
    "kernels/": (),
    "core/base/": (),
    "core/image/": ("core/base/",),
    "core/attention/": ("core/base/", "kernels/"),
    "core/attention/analysis/": ("core/base/", "core/attention/", "core/model/", "kernels/"),
    "core/model/": ("core/base/", "core/attention/"),
    "core/train/": ("core/base/", "core/image/", "core/attention/", "core/model/"),
    "core/segment/": ("core/base/", "core/image/", "core/attention/", "core/model/"),
    "app/cli/": ("core/", "tests/bench/"),
    "app/viewer/": ("core/",),
    "tests/": ("core/", "kernels/", "app/"),
}


def violations(path: str, text: str) -> list[str]:
    found = []
    layer = max((folder for folder in LAYERS if path.startswith(folder)), key=len, default=None)
    for included in INCLUDE.findall(text):
        for pattern, allowed, name in RESTRICTED:
            if pattern.search(included) and not path.startswith(allowed):
                found.append(f"{path}: includes {included}: only {', '.join(allowed)} may include {name}")
        if layer and included.startswith(("app/", "core/", "kernels/", "tests/")):
            if not included.startswith((layer, *LAYERS[layer])):
                found.append(f"{path}: includes {included}: {layer} may include {', '.join(LAYERS[layer]) or 'only itself'}")
    return found


def check_repository(root: pathlib.Path) -> int:
    files = [path for top in ("app", "core", "kernels", "tests") for path in sorted((root / top).rglob("*")) if path.suffix in SOURCES]
    if not files:
        print(f"{root}: no source files")
        return 1
    found = [line for path in files for line in violations(str(path.relative_to(root)), path.read_text(encoding="utf-8"))]
    print("\n".join(found) if found else f"{len(files)} files keep the include rules")
    return 1 if found else 0


def self_test() -> int:
    must_fail = [
        ("core/model/encoder.cpp", "#include <opencv2/core.hpp>"), ("core/segment/tiles.cpp", "#include <gdal_priv.h>"),
        ("core/image/png.cpp", "#include <torch/torch.h>"), ("kernels/cpu/forward.cpp", '#include "core/base/error.h"'),
        ("kernels/cuda/sm90/forward.cu", "#include <torch/torch.h>"), ("core/model/encoder.cpp", '#include "kernels/attention_params.h"'),
        ("core/base/files.cpp", '#include "core/image/image.h"'), ("core/segment/tiles.cpp", '#include "app/cli/segment.h"'),
        ("app/cli/main.cpp", "#include <imgui.h>"), ("core/model/config.cpp", "#include <CLI/CLI.hpp>"),
    ]
    must_pass = [
        ("core/image/reader.cpp", "#include <opencv2/core.hpp>\n#include <gdal_priv.h>"), ("core/attention/cuda.cpp", '#include "kernels/attention_cuda.h"'),
        ("kernels/cpu/forward.cpp", "#include <hwy/highway.h>"), ("app/viewer/main.cpp", "#include <GLFW/glfw3.h>"),
    ]
    wrong = [case for case in must_fail if not violations(*case)] + [case for case in must_pass if violations(*case)]
    for case in wrong:
        print("wrongly judged:", case)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(self_test() if sys.argv[1] == "--self-test" else check_repository(pathlib.Path(sys.argv[1])))
