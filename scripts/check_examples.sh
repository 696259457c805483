#!/usr/bin/env bash
# Builds the example plugins, runs the tests of each in a fresh environment that has nothing but what
# it asks for, then measures with the three together, and runs the embedding example with llem-core
# alone. Nothing is taken from the checkout but the wheels and the tests.
#   scripts/check_examples.sh [<folder of this state's wheels, made if need be>]
set -euo pipefail
cd "$(dirname "$0")/.."

place=$(mktemp -d)
meter=
finish() {
    if [ -n "$meter" ]; then kill "$meter" 2>/dev/null || true; fi
    rm -rf "$place"
}
trap finish EXIT
wheels=${1:-$place/wheels}
bash scripts/build_wheels.sh "$wheels"
wheels=$(cd "$wheels" && pwd)
plugins="llem-onnxruntime llem-sqlite llem-wallmeter"
sinks="llem-mlflow llem-wandb"
for plugin in $plugins $sinks llem-ray; do
    cp -r "examples/$plugin" "$place/$plugin"
    uv build --quiet --wheel --out-dir "$place/examples" "$place/$plugin"
done
cp -r examples/ci examples/embed examples/constraints.txt examples/*.yaml "$place"
rm -f "$place/embed/baseline.json"

install() { # <environment> <requirement>...
    local environment=$1
    shift
    uv venv --quiet "$place/$environment"
    uv pip install --quiet --python "$place/$environment/bin/python" \
        --find-links "$wheels" --find-links "$place/examples" \
        --constraints "$wheels/constraints.txt" --constraints "$place/constraints.txt" "$@"
}

absent() { # <environment> <module>...: fails if one of them can be imported
    local environment=$1
    shift
    "$place/$environment/bin/python" - "$@" <<'PY'
import importlib.util
import sys

found = [name for name in sys.argv[1:] if importlib.util.find_spec(name)]
sys.exit(f"{', '.join(found)} came along" if found else 0)
PY
}

cd "$place"
for plugin in $plugins; do
    echo "== $plugin alone"
    extra=$([ "$plugin" = llem-onnxruntime ] && echo "[tokenizers]" || true)
    install "env-$plugin" "$plugin$extra" pytest
    absent "env-$plugin" torch transformers llem_cli
    # Without src/ beside the tests, it can only be the wheel that they import.
    mv "$plugin/src" "$plugin/typed"
    (cd "$plugin" && "../env-$plugin/bin/pytest" -q -p no:cacheprovider)
done

for sink in $sinks; do
    echo "== $sink alone"
    extra=$([ "$sink" = llem-mlflow ] && echo "[sqlite]" || true)
    install "env-$sink" "$sink$extra" pytest mypy
    absent "env-$sink" torch transformers llem_cli
    (cd "$sink" && MYPY_CACHE_DIR="$place/mypy" "../env-$sink/bin/mypy" src && mv src typed)
    (cd "$sink" && "../env-$sink/bin/pytest" -q -p no:cacheprovider)
done

echo "== llem-ray alone"
install env-llem-ray llem-ray pytest mypy
absent env-llem-ray torch transformers llem_cli
(cd llem-ray && MYPY_CACHE_DIR="$place/mypy" ../env-llem-ray/bin/mypy src && mv src typed)
(cd llem-ray && "../env-llem-ray/bin/pytest" -q -p no:cacheprovider)

echo "== the three together"
# shellcheck disable=SC2086 # three distributions
install together llem-cli $plugins mypy
absent together torch transformers
for plugin in $plugins; do
    (cd "$plugin" && MYPY_CACHE_DIR="$place/mypy" ../together/bin/mypy typed)
done
together/bin/python -m llem_onnxruntime.tiny tiny
together/bin/python -m llem_wallmeter.simulate meter.log --power 40 --interval 0.01 &
meter=$!
export LLEM_WALLMETER__SOURCE="$place/meter.log"
until [ -s meter.log ]; do sleep 0.05; done
together/bin/llem config | tee config.txt
for name in onnxruntime sqlite wallmeter; do grep -q "$name" config.txt; done
together/bin/llem run three-plugins.yaml --output one --set baseline.duration_seconds=0.3
together/bin/python - <<'PY'
import json
import pathlib
import sqlite3

(file,) = pathlib.Path("one").glob("*/result.json")
result = json.loads(file.read_text())
assert (result["backend"], result["energy_source"]) == ("onnxruntime", "wallmeter"), result
assert result["energy_method"] == "integrated"
# The simulated meter says 40 W all the time.
assert abs(result["mean_power_w"] - 40) < 2, result["mean_power_w"]
assert result["energy_uncertainty_absolute_j"] > 0
rows = sqlite3.connect("results.sqlite").execute(
    "SELECT energy_total_j, directory FROM experiments"
).fetchall()
assert rows == [(result["energy_total_j"], str(file.parent.resolve()))], rows
PY

echo "== a study with the three"
if together/bin/python -c "import llem_core.study.runner" 2>/dev/null; then
together/bin/llem run three-plugins-study.yaml --cycles 2 --no-gaps --output study \
    --set baseline.duration_seconds=0.3
together/bin/python - <<'PY'
import json
import pathlib
import sqlite3

(file,) = pathlib.Path("study").glob("*/study_result.json")
study = json.loads(file.read_text())
assert study["status"] == "completed" and len(study["result_files"]) == 4, study
database = sqlite3.connect("results.sqlite")
(runs,) = database.execute("SELECT count(*) FROM study_runs JOIN experiments USING "
                           "(measurement_config_hash, started_at, pid, folder)").fetchone()
assert runs == 4, runs
assert database.execute("SELECT study_name, n_runs FROM studies").fetchall() == [("three-plugins", 4)]
PY
else
    echo "not run: this llem-core has no study runner"
fi

echo "== a gate on tokens/s"
install gate "llem-cli[report]" llem-onnxruntime
cat >gate.yaml <<'YAML'
model: ./tiny
backend: onnxruntime
n: 8
max_output_tokens: 16
energy: {sampler: null}
baseline: {enabled: false}
onnxruntime: {intra_op_threads: 1}
YAML
# Generous, as the machine may be busy: what must be seen is a loss by a factor of a thousand.
gate() {
    CYCLES=4 GITHUB_STEP_SUMMARY="$place/summary.md" PATH="$place/gate/bin:$PATH" \
        bash ci/gate.sh gate.yaml gate.json 95% --metric output_tokens_per_second
}
gate
gate
grep -q "✅ llem compare" summary.md
gate/bin/python - <<'PY'
import json
import pathlib

path = pathlib.Path("gate.json")
baseline = json.loads(path.read_text())
for configuration in baseline["side"]["configurations"]:
    for run in configuration["samples"]:
        run["figures"]["output_tokens_per_second"] *= 1e3
path.write_text(json.dumps(baseline))
PY
code=0
gate || code=$?
[ "$code" = 3 ] || { echo "the gate let a loss pass: exit code $code"; exit 1; }
grep -q "❌ llem compare" summary.md
kill "$meter"
meter=
unset LLEM_WALLMETER__SOURCE

echo "== llem-core embedded"
install embedded -r embed/requirements.txt mypy
absent embedded torch transformers click tqdm llem_cli
cd embed
python=../embedded/bin/python
$python -m mypy
$python -m pytest -q -p no:cacheprovider test_gate.py
GATE=record $python -m pytest -q -p no:cacheprovider test_regression.py
grep -q output_tokens_per_second baseline.json
# A baseline a thousand times as slow must let it pass, one a thousand times as fast must not.
shift_baseline() {
    $python - "$1" <<'PY'
import json
import pathlib
import sys

path = pathlib.Path("baseline.json")
figures = json.loads(path.read_text())
for figure in figures.values():
    figure["mean"] *= float(sys.argv[1])
    figure["standard_error"] *= float(sys.argv[1])
path.write_text(json.dumps(figures))
PY
}
shift_baseline 1e-3
$python -m pytest -q -p no:cacheprovider test_regression.py
shift_baseline 1e6
if $python -m pytest -q -p no:cacheprovider test_regression.py >gate.txt; then
    echo "the gate let a loss pass:" && cat gate.txt && exit 1
fi
grep -q "worse by" gate.txt
echo "examples: four plugins and llem-core embedded hold, installed from wheels"
