#!/usr/bin/env bash
# Segments the sample photograph with the shipped aerial model and says where the result is.
set -euo pipefail
cd "$(dirname "$0")/.."
image=.deps/demo/yellowstone.png
out=out/demo

build/release/fovea segment "$image" -o "$out" --model aerial --overlay
printf '\nMask     %s\nOverlay  %s\nNumbers  %s\n' "$out/yellowstone_mask.png" "$out/yellowstone_overlay.jpg" "$out/summary.json"
