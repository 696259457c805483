#!/usr/bin/env bash
# Checks llem-vllm in an environment with vLLM, which scripts/vllm_env.sh makes or has made: types,
# and the tests in tests/vllm with vLLM's engine itself.
#   scripts/check_vllm.sh [<folder for environments>]
set -euo pipefail
cd "$(dirname "$0")/.."

python=$(bash scripts/vllm_env.sh "$@")
export HF_HUB_OFFLINE=1
"$python" -c "from importlib.metadata import distributions as d; print(*sorted(f'{x.name} {x.version}' for x in d() if x.name.startswith(('vllm', 'llem', 'torch', 'transformers'))), sep=', ')"
MYPYPATH=packages/llem-vllm/src:packages/llem-core/src "$python" -m mypy \
    --config-file packages/llem-vllm/mypy.ini --package llem_vllm
report=$(mktemp)
trap 'rm -f "$report"' EXIT
# Warnings of vLLM and of what it imports are not ours to mend. A process for each file: vLLM and what
# it imports change the process that they are loaded into.
for file in tests/vllm/test_*.py; do
    [ "$file" != tests/vllm/test_study.py ] || continue
    "$python" -m pytest -n 0 -rs -W ignore -p no:cacheprovider "$file" | tee -a "$report"
done
# Where vLLM cannot run the tests skip with a reason; here that is a failure.
if grep -q '^SKIPPED.*vLLM is not installed' "$report"; then exit 1; fi
# transformers here, vLLM there, in one study.
LLEM_VLLM_PYTHON=$python uv run --locked pytest -n 0 -rs tests/vllm/test_study.py
