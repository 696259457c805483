#!/usr/bin/env bash
# Builds the documentation into build/docs; every warning is an error.
set -euo pipefail
cd "$(dirname "$0")/.."
# -E: a page that is not read again would not warn again.
uv run --locked --group docs sphinx-build -E -W --keep-going -n -q -d build/doctrees docs build/docs
echo "documentation: build/docs/index.html"
