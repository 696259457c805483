#!/usr/bin/env bash
# Builds the images of docker/ from wheels of this state, without a registry of images and without
# a network, and looks at an environment in one of them. Where no Docker engine can be started, it
# says why and succeeds.
#   scripts/check_containers.sh [<folder of this state's wheels, made if need be>]
set -euo pipefail
cd "$(dirname "$0")/.."

place=$(mktemp -d)
engine() { bash scripts/docker_engine.sh "$1" "$place/engine"; }
trap 'engine stop || true; rm -rf "$place"' EXIT

code=0
DOCKER_HOST=$(engine start) || code=$?
if [ "$code" -eq 3 ]; then
    echo "containers: not checked"
    exit 0
fi
test "$code" -eq 0
export DOCKER_HOST
python=$(uv run --no-sync python -c 'import sys; print(sys.executable)')
bash scripts/base_image.sh llem-base "$python"

# The wheels, and those that they need; torch is left out, as nothing here computes.
wheels=${1:-$place/wheels}
bash scripts/build_wheels.sh "$wheels"
cp -r "$wheels" "$place/context"
for package in packages/*/; do
    name=$(basename "$package" | tr - _)
    ls "$place/context/$name"-*.whl >/dev/null 2>&1 ||
        uv build --quiet --wheel --out-dir "$place/context" "$package"
done
distributions="llem-core llem-cli llem-energy-nvml"
uv run --no-sync --with pip python -m pip download --quiet --dest "$place/context" \
    --find-links "$place/context" --constraint "$place/context/constraints.txt" $distributions

build() { # <tag> <argument>...
    local tag=$1
    shift
    DOCKER_BUILDKIT=0 docker build --quiet --network none --build-arg BASE=llem-base \
        --build-arg PIP_OPTIONS=--no-index --tag "$tag" "$@" "$place/context"
}
build llem:cpu --file docker/Dockerfile --target cpu --build-arg "DISTRIBUTIONS=$distributions"
build llem:cuda --file docker/Dockerfile --target cuda --build-arg "DISTRIBUTIONS=$distributions" \
    --build-arg PACKAGES=
backends="llem-core llem-energy-nvml"
[ -e packages/llem-vllm ] && backends="$backends llem-vllm"
build llem-vllm:check --file docker/vllm.Dockerfile --build-arg "DISTRIBUTIONS=$backends"

for tag in llem:cpu llem:cuda; do
    docker run --rm --network none --read-only "$tag" --version
done
cat >"$place/environments.yaml" <<'YAML'
environments:
  own: {image: "llem:cpu"}
  vllm: {image: "llem-vllm:check"}
YAML
export XDG_CACHE_HOME=$place/cache
uv run --no-sync llem config "$place/environments.yaml" | tee "$place/told.txt" |
    sed -n '/^Environment own/,/^Paths/p'
test "$(grep -c '^  llem-core ' "$place/told.txt")" -eq 2
if grep -q 'not usable *the environment\|cannot be used' "$place/told.txt"; then exit 1; fi
test -z "$(docker ps --all --quiet)"
echo "containers: both images of docker/Dockerfile and that of docker/vllm.Dockerfile build and answer"
