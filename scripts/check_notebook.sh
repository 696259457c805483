#!/usr/bin/env bash
# Executes examples/notebook.ipynb in a real kernel, over the workspace's environment, and looks at
# what it showed. The notebook is kept without outputs; the executed one goes to build/.
#   scripts/check_notebook.sh
set -euo pipefail
cd "$(dirname "$0")/.."
export HF_HUB_OFFLINE=1
mkdir -p build
uv run --quiet --frozen --with "nbclient==0.10.*" --with "ipykernel==6.*" \
    python scripts/execute_notebook.py examples/notebook.ipynb build/notebook.ipynb
