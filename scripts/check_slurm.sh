#!/usr/bin/env bash
# Runs the launcher of SLURM on a real cluster of two nodes, which it starts and ends. Needs root.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "$(id -u)" != 0 ]; then
    echo "check_slurm.sh: left out, as munge and SLURM's daemons are started by root alone"
    exit 0
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
bash scripts/slurm_cluster.sh install "$folder"
uv run --locked pytest -n 2 -rs --full --slurm-faults 6 tests/integration/slurm | tee "$folder/report"
# Where SLURM cannot run, the tests skip with a reason; here that is a failure.
! grep -q '^SKIPPED' "$folder/report"
