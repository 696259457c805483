#!/usr/bin/env bash
# A gate for CI: measures, and fails where the loss against a baseline is beyond a limit.
# Without the baseline file it makes one.
#   bash gate.sh <study or experiment file> <baseline.json> <limit> [<option of llem compare>...]
# Exit code: that of llem compare; 3 is a loss beyond the limit.
set -euo pipefail
file=$1 baseline=$2 limit=$3
shift 3

results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
llem run "$file" --cycles "${CYCLES:-5}" --no-gaps --quiet --output "$results"
if [ ! -e "$baseline" ]; then
    llem compare "$results"/* --save-baseline "$baseline"
    exit
fi
summary=()
if [ -n "${GITHUB_STEP_SUMMARY:-}" ]; then summary=(--summary); fi
llem compare "$baseline" "$results"/* --max-regression "$limit" "${summary[@]}" "$@"
