"""Power that follows the load, over a simulated driver: joules per token against the truth."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import pytest
from llem_core.contracts import (
    DeviceInfo,
    ModelInfo,
    RequestOutput,
    ServedRequest,
    Workload,
)
from llem_core.plugins import Plugins
from llem_core.testing import ScriptedServer, scripted_server
from llem_energy_nvml import hooks
from llem_energy_nvml.testing import SimulatedGpu, simulated_driver
from llenergymeasure import ExperimentResult, run_experiment

Within = Callable[..., AbstractContextManager[Plugins]]
IDLE_W, PER_REQUEST_W = 90.0, 12.0
RATE, TOKENS, FIRST_S, TOKEN_S = 20.0, 40, 0.4, 0.02


class FollowsLoad:
    """True power: so much at rest, and so much for each request in flight."""

    def __init__(self) -> None:
        self.origin_s = time.monotonic()
        self.spans: list[tuple[float, float]] = []

    def power_w(self, time_s: float) -> float:
        busy = sum(a <= time_s < b for a, b in self.spans)
        return IDLE_W + PER_REQUEST_W * busy

    def energy_j(self, time_s: float) -> float:
        busy_s = sum(max(0.0, min(time_s, b) - a) for a, b in self.spans)
        return IDLE_W * time_s + PER_REQUEST_W * busy_s


class Powered(ScriptedServer):
    """Draws power on a simulated GPU while a request is in flight."""

    def __init__(self, workload: Workload, gpu: SimulatedGpu) -> None:
        super().__init__(workload)
        self.gpu = gpu

    def load(self) -> ModelInfo:
        info = super().load()
        return replace(info, devices=(DeviceInfo("gpu", self.gpu.name, self.gpu.uuid),))

    def submit(self, request: ServedRequest) -> None:
        super().submit(request)
        end = max(a.ended_s for _, _, a in self._due if isinstance(a, RequestOutput))
        curve = self.gpu.curve
        assert isinstance(curve, FollowsLoad)
        curve.spans.append((time.monotonic() - curve.origin_s, end - curve.origin_s))


def run(within: Within, gpu: SimulatedGpu, load: dict[str, Any]) -> ExperimentResult:
    spec = scripted_server(create=lambda workload: Powered(workload, gpu))
    spec = replace(spec, check=lambda _: replace(scripted_server().check(_), device_kind="gpu"))
    section = {"slots": 100, "first_token_time_s": FIRST_S, "token_time_s": TOKEN_S}
    with within(backends=[spec], samplers=hooks.llem_samplers()):
        return run_experiment(
            model="m", backend="scripted_server", scripted_server=section, n=30,
            max_output_tokens=TOKENS, baseline={"enabled": False}, warmup={"enabled": False},
            energy={"sampler": "nvml"}, load=load,
        )  # fmt: skip


def measured(within: Within, seed: int, **load: Any) -> tuple[float, float, float]:
    """J per token, its stated expanded uncertainty, and the truth of a steady load."""
    gpu = SimulatedGpu(FollowsLoad(), phase_s=0.013 * seed, seed=seed)
    with simulated_driver([gpu]):
        gpu.curve.origin_s = time.monotonic()
        result = run(
            within, gpu, {"mode": "open", "request_rate": RATE, "arrival": "constant"} | load
        )
    assert result.energy_per_output_token_j is not None
    assert result.energy_uncertainty_absolute_j is not None
    stated_j = result.energy_uncertainty_absolute_j / result.output_tokens
    in_flight = RATE * (FIRST_S + TOKEN_S * (TOKENS - 1))
    true_j = (IDLE_W + PER_REQUEST_W * in_flight) / (RATE * TOKENS)
    return result.energy_per_output_token_j, stated_j, true_j


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.full)])
def test_joules_per_token_of_the_steady_window_are_within_their_interval(
    with_plugins: Within, seed: int
) -> None:
    found_j, stated_j, true_j = measured(with_plugins, seed, ramp_seconds=2.0, window_seconds=3.0)
    assert abs(found_j - true_j) <= stated_j


def test_a_ramp_in_the_window_is_outside_the_interval(with_plugins: Within) -> None:
    found_j, stated_j, true_j = measured(with_plugins, 1, ramp_seconds=0.0, window_seconds=1.4)
    assert found_j - true_j > stated_j


def test_the_curve_s_energy_is_the_integral_of_its_power() -> None:
    curve = FollowsLoad()
    curve.spans = [(0.5, 1.5), (1.0, 2.0)]
    steps = [i / 1000 for i in range(3001)]
    total_j = sum(curve.power_w(a) * (b - a) for a, b in itertools.pairwise(steps))
    assert curve.energy_j(3.0) == pytest.approx(total_j, rel=1e-3)
