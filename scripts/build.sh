#!/usr/bin/env bash
# build.sh PRESET JOBS [TARGET...]: configures if needed and builds the targets, or everything. Quiet but for a line a step; on failure the compiler's words.
set -euo pipefail
cd "$(dirname "$0")/.."
preset=$1 jobs=$2
targets=("${@:3}")
folder=build/$preset
mkdir -p "$folder"

# Again when the viewer's sources have come since: CMake left the viewer out without them.
configured=$folder/.configured viewer_sources=.deps/imgui/.complete
if [ ! -f "$folder/build.ninja" ] || [ "$viewer_sources" -nt "$configured" ]; then
  printf 'Configuring (%s)\n' "$preset"
  if ! cmake --preset "$preset" >"$folder/configure.log" 2>&1; then
    tail -n 25 "$folder/configure.log" >&2
    printf 'build: CMake cannot configure (whole log: %s/configure.log)\n' "$folder" >&2
    rm -f "$folder/build.ninja" "$folder/CMakeCache.txt"
    exit 3
  fi
  touch "$configured"
fi

# Told only where there is something to do, so that a second run is silent.
if ! ninja -C "$folder" -n "${targets[@]}" 2>/dev/null | grep -q 'no work to do'; then
  printf 'Building on %s cores (first time: several minutes; log: %s/build.log)\n' "$jobs" "$folder"
fi
if ! ninja -C "$folder" -j "$jobs" "${targets[@]}" >"$folder/build.log" 2>&1; then
  grep -E -A 12 'FAILED|error' "$folder/build.log" | head -n 60 >&2
  printf 'build: failed (whole log: %s/build.log)\n' "$folder" >&2
  exit 3
fi
