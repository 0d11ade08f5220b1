#!/usr/bin/env bash
# A picture of what cannot be opened tells the script that asked for it: one line, exit code 1, and the picture of the window that says so.
#   screenshot_of_nothing.sh FOVEA_VIEW
set -uo pipefail
folder=$(mktemp -d) && trap 'rm -rf "$folder"' EXIT
export XDG_CONFIG_HOME=$folder XDG_CACHE_HOME=$folder
said=$("$1" --screenshot "$folder/window.png" "$folder/missing.tif" 2>&1)
code=$?
[ $code = 1 ] || { echo "exit code $code, expected 1"; exit 1; }
[ "$said" = "$folder/missing.tif: No such file or directory" ] || { echo "it said: $said"; exit 1; }
[ -s "$folder/window.png" ] || { echo "no picture"; exit 1; }
