"""NVIDIA GPUs, from ``nvidia-smi``: core links to no vendor library."""

from __future__ import annotations

import csv
import shutil
import subprocess
from dataclasses import dataclass

from llem_core.results.environment import GpuRecord
from llem_core.units import BYTES_PER_MIB

_FIELDS = (
    *("index", "name", "uuid", "driver_version", "memory.total", "power.limit"),
    *("compute_mode", "mig.mode.current", "persistence_mode"),
)
_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Gpus:
    """GPUs and driver, or why there are none."""

    gpus: list[GpuRecord]
    driver_version: str | None = None
    reason: str | None = None


def read_gpus(command: str = "nvidia-smi") -> Gpus:
    """Ask the driver's own command, for ten seconds at the most."""
    program = shutil.which(command)
    if program is None:
        return Gpus([], reason=f"{command} is not installed")
    query = [program, f"--query-gpu={','.join(_FIELDS)}", "--format=csv,noheader,nounits"]
    try:
        # The program is the driver's, found on the user's own PATH.
        done = subprocess.run(  # noqa: S603
            query, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Gpus([], reason=f"{command} did not answer ({type(error).__name__})")
    if done.returncode != 0:
        told = (done.stdout + done.stderr).strip().splitlines()
        return Gpus([], reason=f"{command} failed: {told[0] if told else done.returncode}")
    rows = list(csv.reader(done.stdout.splitlines(), skipinitialspace=True))
    rows = [row for row in rows if len(row) == len(_FIELDS)]
    if not rows:
        return Gpus([], reason=f"{command} names no GPU")
    return Gpus([_gpu(row) for row in rows], driver_version=_known(rows[0][3]))


def _gpu(row: list[str]) -> GpuRecord:
    memory_mib, limit_w = _number(row[4]), _number(row[5])
    return GpuRecord(
        index=int(row[0]),
        name=row[1],
        uuid=row[2],
        memory_total_bytes=None if memory_mib is None else int(memory_mib * BYTES_PER_MIB),
        power_limit_w=limit_w,
        compute_mode=_known(row[6]),
        mig_mode=_known(row[7]),
        persistence_mode=_known(row[8]),
    )


def _known(text: str) -> str | None:
    return None if text.startswith("[") or text in {"", "N/A"} else text


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
