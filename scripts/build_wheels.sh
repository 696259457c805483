#!/usr/bin/env bash
# Builds the workspace's wheels into a folder, with the lock's third-party versions beside them
# as constraints.txt. Does nothing where they are already there: checks may share one folder.
#   scripts/build_wheels.sh <folder>
set -euo pipefail
folder=$(mkdir -p "$1" && cd "$1" && pwd)
cd "$(dirname "$0")/.."

if [ ! -e "$folder/constraints.txt" ]; then
    uv build --quiet --all-packages --wheel --out-dir "$folder"
    # Written last, and whole: it says that the folder is complete.
    uv export --quiet --locked --no-emit-workspace --no-hashes --format requirements-txt \
        --output-file "$folder/.constraints"
    mv "$folder/.constraints" "$folder/constraints.txt"
fi
