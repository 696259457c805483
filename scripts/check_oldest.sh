#!/usr/bin/env bash
# Runs the tests of llem-pytorch with the oldest torch and transformers that its metadata allows, in
# a fresh environment outside the checkout, from wheels.
#   scripts/check_oldest.sh [<folder of this state's wheels, made if need be>]
set -euo pipefail
cd "$(dirname "$0")/.."

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
wheels=${1:-$place/wheels}
bash scripts/build_wheels.sh "$wheels"
wheels=$(cd "$wheels" && pwd)

# The metadata's own lower bounds, as pins.
uv run --no-sync python - >"$place/oldest.txt" <<'PY'
import re
import tomllib
from pathlib import Path

project = tomllib.loads(Path("packages/llem-pytorch/pyproject.toml").read_text())["project"]
for requirement in project["dependencies"]:
    if found := re.fullmatch(r"(torch|transformers)>=([\d.]+)", requirement):
        print(f"{found[1]}=={found[2]}")
PY
test "$(wc -l <"$place/oldest.txt")" -eq 2
cat "$place/oldest.txt"
# All else is as locked, but for what these two pin themselves.
grep -vE '^(torch|transformers|tokenizers|triton|setuptools|huggingface-hub|hf-xet|nvidia-[a-z0-9-]+|cuda-[a-z-]+)==' \
    "$wheels/constraints.txt" >"$place/constraints.txt"

# Outside the checkout, whose own pins are the lock's.
cd "$place"
uv venv --quiet oldest
uv pip install --quiet --python oldest/bin/python --compile-bytecode --find-links "$wheels" \
    --constraints constraints.txt --constraints oldest.txt "llem-pytorch[accelerate,gguf,lora]" \
    llem-energy-nvml hypothesis jsonschema packaging pytest pytest-timeout pytest-xdist
cd - >/dev/null
"$place/oldest/bin/python" -c "import torch, transformers; print(torch.__version__, transformers.__version__)"

HF_HUB_OFFLINE=1 "$place/oldest/bin/python" -m pytest -q --full -p no:cacheprovider \
    tests/unit/pytorch tests/integration/pytorch \
    tests/integration/conformance/test_conformance_pytorch.py
