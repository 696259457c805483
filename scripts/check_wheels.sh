#!/usr/bin/env bash
# Builds all wheels, installs `llem-core llem-pytorch` by name into a fresh environment outside
# the checkout, measures an experiment there and reports on it. Then llem-core alone, without click or
# torch.
#   scripts/check_wheels.sh [<folder of this state's wheels, made if need be>]
set -euo pipefail
cd "$(dirname "$0")/.."

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
wheels=${1:-$place/wheels}
bash scripts/build_wheels.sh "$wheels"
wheels=$(cd "$wheels" && pwd)

# Third-party versions are those of the lock; ours come from the wheels.
install() { # <environment> <distribution>...
    local environment=$1
    shift
    uv venv --quiet "$place/$environment"
    uv pip install --quiet --python "$place/$environment/bin/python" \
        --find-links "$wheels" --constraints "$wheels/constraints.txt" "$@"
}

cd "$place"
install full llem-core llem-pytorch
full/bin/llem --version
full/bin/llem run -n 3 --set baseline.duration_seconds=0.2 --set max_output_tokens=8 \
    --output "$place/results" | tee "$place/summary.txt"
test "$(find results -name result.json | wc -l)" -eq 1
grep -q "not measured\|J" "$place/summary.txt"

# The report is an extra: without it the command says what to install, with it a page is made.
if full/bin/llem report results/* 2> "$place/missing.txt"; then exit 1; fi
grep -q "pip install 'llem-cli\[report\]'" "$place/missing.txt"
uv pip install --quiet --python full/bin/python --find-links "$wheels" \
    --constraints "$wheels/constraints.txt" 'llem-cli[report]'
full/bin/llem report results/* --output "$place/page.html"
grep -q "<svg" "$place/page.html"

install bare llem-core
bare/bin/python - <<'PY'
import importlib.util
import sys

import llenergymeasure

for name in llenergymeasure.__all__:
    getattr(llenergymeasure, name)
loaded = {"torch", "transformers", "click"} & set(sys.modules)
assert not loaded, f"importing llenergymeasure loaded {loaded}"
for name in ("torch", "click"):
    assert importlib.util.find_spec(name) is None, f"llem-core alone brought {name}"
PY
echo "wheels: llem-core and llem-pytorch installed by name measure, llem-report makes a page;" \
    "llem-core alone imports"
