"""Simulated devices from a file, so that a whole program and its children can run over them.

A YAML file::

    gpus:
      - uuid: GPU-00000000-0000-0000-0000-000000000001
        name: Simulated H100
        gain: 1.05
        curve: {kind: square, low_w: 100, high_w: 500, period_s: 0.37}
      - uuid: GPU-00000000-0000-0000-0000-000000000002
        lost_from_s: 30
    driver: "580.00.simulated"

Keys of a GPU are the attributes of ``SimulatedGpu``; its curve is one of ``constant``, ``ramp``,
``square``, ``spiky`` and ``generation`` with their arguments. Times count from the program's start.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml
from llem_core.errors import ConfigError

from llem_energy_nvml.testing.curves import Constant, Curve, Ramp, Square, generation, spiky
from llem_energy_nvml.testing.driver import SimulatedLibrary
from llem_energy_nvml.testing.gpu import SimulatedGpu
from llem_energy_nvml.testing.install import DRIVER_VERSION, install

VARIABLE = "SIMULATED_NVML_SCENARIO"
ORIGIN_VARIABLE = "SIMULATED_NVML_ORIGIN_S"
CURVES: dict[str, Callable[..., Curve]] = {
    "constant": Constant,
    "ramp": Ramp,
    "square": Square,
    "spiky": spiky,
    "generation": generation,
}
_FIELDS = {field.name for field in fields(SimulatedGpu)}


def load_scenario(path: Path) -> tuple[list[SimulatedGpu], str]:
    """Read the devices of a file, and what the driver calls itself.

    Raises:
        ConfigError: it cannot be read, or a key is unknown.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        gpus = [_gpu(dict(entry)) for entry in content["gpus"]]
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"{path}: not a scenario of simulated GPUs ({type(error).__name__}: {error}); it needs "
            "`gpus`, a list whose keys are attributes of SimulatedGpu"
        ) from error
    return gpus, str(content.get("driver", DRIVER_VERSION))


def activate(environment: dict[str, str] | None = None) -> None:
    """Put the devices that the environment names underneath this process's binding."""
    named = dict(os.environ) if environment is None else environment
    if VARIABLE not in named:
        return
    gpus, version = load_scenario(Path(named[VARIABLE]))
    # CLOCK_MONOTONIC is the machine's: all processes of a program share the origin.
    origin_s = float(named.get(ORIGIN_VARIABLE, time.monotonic()))
    install(SimulatedLibrary(gpus, lambda: time.monotonic() - origin_s, time.sleep, True, version))


def _gpu(entry: dict[str, Any]) -> SimulatedGpu:
    curve = dict(entry.pop("curve", {"kind": "constant", "level_w": 100.0}))
    unknown = set(entry) - _FIELDS
    if unknown:
        raise ValueError(f"unknown key {sorted(unknown)[0]!r}")
    tuples: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in entry.items()}
    return SimulatedGpu(CURVES[curve.pop("kind")](**curve), **tuples)
