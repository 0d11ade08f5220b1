#!/usr/bin/env bash
# Brings a bare machine to the point where CMake can configure: Debian packages, a private Python environment that holds libtorch, and (for
# the demo) two sample photographs. Idempotent; every step is whole or not done, so it can be interrupted and started again.
#
#   scripts/setup.sh [build] [demo] [view] [onnx] [python]
#     build   compiler, libraries, libtorch (the default)
#     view    the window system's libraries and the sources of Dear ImGui, into .deps/imgui/, for fovea-view
#     demo    the sample photographs, into .deps/demo/
#     onnx    Python's onnx in an environment of its own, for `fovea import` of ONNX files
#     python  Python's torch in an environment of its own, for `make test-python`
set -euo pipefail
cd "$(dirname "$0")/.."
readonly deps=$PWD/.deps
readonly requirements=$PWD/scripts/requirements
readonly log=$deps/setup.log

say() { printf '%s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 3; }

# Runs a command with its output in the log; on failure shows the last lines and a sentence.
quietly() {
  local sentence=$1; shift
  if ! "$@" >>"$log" 2>&1; then
    tail -n 12 "$log" >&2
    fail "$sentence (whole log: .deps/setup.log)"
  fi
}

check_machine() {
  [ "$(uname -s)" = Linux ] && [ "$(uname -m)" = x86_64 ] || fail "$(uname -sm): only Linux on x86-64 is supported"
  mkdir -p "$deps" || fail "$deps: cannot create the folder"
  : >>"$log"
}

need_disk() {   # GIGABYTES WHAT
  local free_kb; free_kb=$(df -Pk "$deps" | awk 'NR == 2 { print $4 }')
  [ "$free_kb" -ge $(($1 * 1024 * 1024)) ] || fail "$2 needs $1 GB of free disk, $((free_kb / 1024 / 1024)) GB are left on $(df -P "$deps" | awk 'NR == 2 { print $6 }')"
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo >/dev/null; then sudo "$@"
  else fail "packages are missing, and neither root nor sudo is at hand; run as root: apt-get install ${missing[*]}"
  fi
}

readonly build_packages=(g++ cmake ninja-build ccache mold pkg-config python3 python3-venv ca-certificates
  libopencv-dev libgdal-dev gdal-bin libpng-dev libjpeg-dev libssl-dev libcli11-dev libspdlog-dev nlohmann-json3-dev libhwy-dev
  libgtest-dev libgmock-dev libbenchmark-dev libgomp1)

install_packages() {
  command -v dpkg-query >/dev/null || { say "No dpkg here: taking it that the packages of docs/building.md are installed"; return; }
  local missing=()
  for package in "$@"; do
    dpkg-query -W -f='${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' || missing+=("$package")
  done
  [ ${#missing[@]} = 0 ] && return
  say "Installing ${#missing[@]} packages: ${missing[*]}"
  need_disk 4 "installing packages"
  quietly "the package lists cannot be fetched: is there a network?" as_root env DEBIAN_FRONTEND=noninteractive apt-get update
  for package in "${missing[@]}"; do
    apt-cache show "$package" >/dev/null 2>&1 || fail "this distribution has no package '$package': Debian 12, Ubuntu 24.04 or newer is needed"
  done
  quietly "packages cannot be installed" as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"
}

check_tools() {
  local cmake_version; cmake_version=$(cmake --version | awk 'NR == 1 { print $3 }')
  printf '3.25\n%s\n' "$cmake_version" | sort -VC || fail "cmake $cmake_version is too old, 3.25 is needed: Debian 12, Ubuntu 24.04 or newer"
  local gcc_version; gcc_version=$(g++ -dumpversion)
  [ "${gcc_version%%.*}" -ge 12 ] || fail "g++ $gcc_version is too old, 12 is needed: Debian 12, Ubuntu 24.04 or newer"
}

# A Python whose libtorch wheel is pinned: the system's own, not whatever a version manager put first.
find_python() {
  local candidate
  for candidate in /usr/bin/python3 python3.11 python3.12 python3.13 python3; do
    if command -v "$candidate" >/dev/null && "$candidate" -c 'import sys, ensurepip; sys.exit(sys.version_info[:2] not in ((3,11),(3,12),(3,13)))' 2>/dev/null; then
      command -v "$candidate"; return
    fi
  done
  fail "no Python 3.11, 3.12 or 3.13 with the venv module: libtorch's wheels are pinned for those"
}

# FOLDER REQUIREMENTS... : a venv that holds just these pinned packages; remade when a list changes, done when its stamp says so.
make_venv() {
  local folder=$1; shift
  local wanted; wanted=$(cat "$@" | sha256sum | cut -d' ' -f1)
  [ -f "$folder/.complete" ] && [ "$(cat "$folder/.complete")" = "$wanted" ] && return
  local python; python=$(find_python)
  say "Installing into ${folder#"$PWD"/}: $(cat "$@" | grep -c '==') pinned Python packages"
  rm -rf "$folder"
  quietly "$python -m venv failed" "$python" -m venv "$folder"
  for list in "$@"; do
    quietly "the packages of ${list#"$PWD"/} cannot be installed: is there a network, and room on the disk?" \
      "$folder/bin/pip" install --disable-pip-version-check --no-cache-dir --no-deps --require-hashes --only-binary=:all: -r "$list"
  done
  printf '%s' "$wanted" >"$folder/.complete"
}

has_nvidia_driver() { [ -e /proc/driver/nvidia/version ] || ldconfig -p 2>/dev/null | grep -q 'libcuda\.so\.1'; }

setup_build() {
  install_packages "${build_packages[@]}"
  check_tools
  local list=$requirements/libtorch-cpu.txt size=3
  if has_nvidia_driver; then list=$requirements/libtorch-cuda.txt size=9; fi
  [ -f "$deps/venv/.complete" ] || need_disk "$size" libtorch
  make_venv "$deps/venv" "$list"
}

# LIST WHAT MEMBER=TARGET... : single files out of a pinned wheel.
files_from_wheel() {
  local list=$1 what=$2; shift 2
  local pair missing=0
  for pair in "$@"; do [ -f "${pair#*=}" ] || missing=1; done
  [ $missing = 0 ] && return
  say "Fetching $what"
  mkdir -p "$deps/downloads"
  quietly "$what cannot be fetched: is there a network?" \
    "$deps/venv/bin/pip" download --disable-pip-version-check --no-cache-dir --no-deps --require-hashes --only-binary=:all: \
    --dest "$deps/downloads" -r "$list"
  quietly "$what cannot be unpacked" "$deps/venv/bin/python" - "$deps/downloads" "$@" <<'PYTHON'
import pathlib, sys, zipfile
members = dict(pair.split("=", 1) for pair in sys.argv[2:])
for wheel in pathlib.Path(sys.argv[1]).glob("*.whl"):
    archive = zipfile.ZipFile(wheel)
    if not members.keys() <= set(archive.namelist()):
        continue
    for member, target in members.items():
        target = pathlib.Path(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(target.name + ".partial")
        partial.write_bytes(archive.read(member))
        partial.rename(target)
    wheel.unlink()
    sys.exit(0)
sys.exit("no package holds " + ", ".join(members))
PYTHON
}

setup_demo() {
  files_from_wheel "$requirements/demo-image.txt" "the sample photographs (20 MB)" \
    "deepforest/data/2019_YELL_2_528000_4978000_image_crop2.png=$deps/demo/yellowstone.png" \
    "deepforest/data/2019_YELL_2_541000_4977000_image_crop.png=$deps/demo/road.png"
}

readonly view_packages=(libglfw3-dev libgl-dev libgl1-mesa-dri xvfb xauth)

# The archive holds far more than is built; only these folders are unpacked.
readonly imgui_folders=(external/imgui/imgui external/implot/implot external/imgui-command-palette external/imgui_test_engine
  external/portable_file_dialogs external/glfw/glfw/deps/glad)

setup_view() {
  install_packages "${view_packages[@]}"
  local list=$requirements/imgui.txt wanted; wanted=$(sha256sum <"$list" | cut -d' ' -f1)
  [ -f "$deps/imgui/.complete" ] && [ "$(cat "$deps/imgui/.complete")" = "$wanted" ] && return
  say "Fetching the sources of Dear ImGui (54 MB)"
  rm -rf "$deps/imgui" "$deps/downloads"
  mkdir -p "$deps/imgui" "$deps/downloads"
  quietly "the sources of Dear ImGui cannot be fetched: is there a network?" \
    "$deps/venv/bin/pip" download --disable-pip-version-check --no-cache-dir --no-deps --no-binary imgui-bundle --require-hashes \
    --dest "$deps/downloads" -r "$list"
  quietly "the sources of Dear ImGui cannot be unpacked" \
    tar xzf "$deps"/downloads/imgui_bundle-*.tar.gz -C "$deps/imgui" --strip-components=1 "${imgui_folders[@]/#/imgui_bundle-1.93.0/}"
  rm -rf "$deps/downloads"
  printf '%s' "$wanted" >"$deps/imgui/.complete"
}

check_machine
for part in "${@:-build}"; do
  case $part in
    build) setup_build ;;
    demo) setup_demo ;;
    view) setup_view ;;
    onnx) make_venv "$deps/onnx" "$requirements/onnx.txt" ;;
    python) make_venv "$deps/python" "$requirements/python-torch.txt" ;;
    *) fail "unknown part '$part': build, demo, view, onnx, python" ;;
  esac
done
