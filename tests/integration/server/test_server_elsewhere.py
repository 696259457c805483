"""Energy of a server on another host, through the DCGM exporter there: scripted, in real time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from llem_core.testing import PowerScript
from llem_energy_dcgm.testing import ScriptedExporter, ScriptedGpu, serving
from llenergymeasure import ExperimentResult, run_experiment

from tests.integration.server.conftest import Start

USED, IDLE = "GPU-used", "GPU-idle"
POWER_W = 250.0
LOAD = {"mode": "closed", "concurrency": 4, "ramp_seconds": 0.2}


@pytest.fixture
def exporter() -> Iterator[str]:
    gpus = [
        ScriptedGpu(PowerScript((0, POWER_W)), USED),
        ScriptedGpu(PowerScript((0, 90.0)), IDLE),
    ]
    with serving(ScriptedExporter(gpus, collect_interval_s=0.5)) as server:
        yield server.url


def measured(port: int, server: dict[str, Any], **settings: Any) -> ExperimentResult:
    return run_experiment(
        model="scripted",
        backend="server",
        n=20,
        max_output_tokens=8,
        server={"base_url": f"http://127.0.0.1:{port}"} | server,
        warmup={"enabled": False},
        **{"baseline": {"enabled": False}, "load": LOAD | {"window_seconds": 3}} | settings,
    )


@pytest.mark.full
def test_a_server_elsewhere_has_joules_where_a_sampler_reads_its_host(
    start: Start, exporter: str
) -> None:
    result = measured(
        start("--first-token-s", "0.02", "--token-s", "0.004"),
        {"host": "gpu-node", "devices": [USED]},
        energy={"sampler": "dcgm"},
        dcgm={"url": exporter, "host": "gpu-node", "poll_seconds": 0.05},
        baseline={"duration_seconds": 1.5},
    )
    assert result.energy_total_j is not None, result.unavailable
    assert result.energy_uncertainty_comparison_j is not None
    true_j = POWER_W * result.duration_s
    assert abs(result.energy_total_j - true_j) <= result.energy_uncertainty_comparison_j
    assert result.energy_uncertainty_comparison_j < 0.2 * true_j
    assert result.energy_source == "dcgm"
    assert result.energy_method == "counter"
    # The other card of that host is seen, and not billed.
    assert result.energy_per_device_j == {USED: result.energy_total_j}
    assert result.energy_breakdown is not None
    found = {d.name: (d.host, d.used) for d in result.energy_breakdown.domains}
    assert found == {USED: ("gpu-node", True), IDLE: ("gpu-node", False)}
    assert result.energy_per_output_token_j == pytest.approx(
        result.energy_total_j / result.output_tokens
    )
    assert result.energy_per_request_j is not None
    # It was loaded before the run: only the loaded baseline can be told.
    assert result.baseline_power_w is None
    assert result.loaded_baseline_power_w == pytest.approx(POWER_W, rel=0.05)


@pytest.mark.parametrize(
    ("dcgm", "server", "reason"),
    [
        (None, {"host": "gpu-node", "devices": [USED]}, "gpu-node, whose energy nothing here"),
        ({}, {"host": "gpu-node", "devices": [USED]}, "give the machine the same name"),
        ({"host": "gpu-node"}, {"host": "gpu-node"}, "name their UUIDs"),
        ({"host": "gpu-node"}, {"host": "gpu-node", "devices": ["GPU-x"]}, "and not GPU-x"),
    ],
    ids=["no sampler", "another name", "no devices", "another device"],
)
@pytest.mark.full
def test_otherwise_the_energy_is_null_with_the_reason(
    start: Start, exporter: str, dcgm: dict[str, Any] | None, server: dict[str, Any], reason: str
) -> None:
    settings: dict[str, Any] = {"energy": {"sampler": None}}
    if dcgm is not None:
        settings = {
            "energy": {"sampler": "dcgm"},
            "dcgm": {"url": exporter, "poll_seconds": 0.05} | dcgm,
        }
    result = measured(
        start("--first-token-s", "0.02", "--token-s", "0.004"),
        server,
        **settings,
        load=LOAD | {"window_seconds": 0.5},
    )
    assert result.energy_total_j is None
    assert reason in result.unavailable["energy_total_j"]
