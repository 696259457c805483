#!/usr/bin/env bash
# Builds the documentation into build/docs; every warning is an error.
set -euo pipefail
cd "$(dirname "$0")/.."
uv run --locked --group docs sphinx-build -W --keep-going -n -q -d build/doctrees docs build/docs
echo "documentation: build/docs/index.html"
