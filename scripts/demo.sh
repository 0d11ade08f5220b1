#!/usr/bin/env bash
# Segments the sample photographs with the shipped aerial model and says where the results are.
set -euo pipefail
cd "$(dirname "$0")/.."
out=out/demo

build/release/fovea segment .deps/demo/road.png .deps/demo/yellowstone.png -o "$out" --model aerial --overlay
printf '\nMasks     %s\nOverlays  %s\nNumbers   %s\n' "$out/road_mask.png $out/yellowstone_mask.png" \
  "$out/road_overlay.jpg $out/yellowstone_overlay.jpg" "$out/summary.json"
