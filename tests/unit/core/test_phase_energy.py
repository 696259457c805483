"""Prefill and decode: resolved, not resolvable with a reason, and never a guess."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from llem_core.contracts import Batch, InferenceBackend, UsedDevices, Workload
from llem_core.contracts.sampler import DomainReading, EnergyReading, UncertaintyComponent
from llem_core.measure.energy.phases import LONGEST_S, passes_for, phase_energy
from llem_core.measure.energy.totals import RecordedEnergy, record_energy
from llem_core.plugins import Plugins
from llem_core.results.energy import PhaseEnergy
from llem_core.testing import ScriptedBackend, scripted_backend, scripted_sampler
from llenergymeasure import run_experiment

Within = Callable[..., AbstractContextManager[Plugins]]


def reading(energy_j: float | None, edges_j: float | None, **facts: Any) -> EnergyReading:
    terms = () if edges_j is None else (UncertaintyComponent("edges", edges_j),)
    settings: dict[str, Any] = {"method": "counter", "uncertainty": terms, **facts}
    if energy_j is None:
        settings["reason"] = "it fell off"
    return EnergyReading("w", 0.0, 8.0, (DomainReading("GPU-a", "gpu", energy_j, **settings),))


def phases(total: EnergyReading, prefill: EnergyReading, passes: int = 4) -> PhaseEnergy:
    return phase_energy(recorded(total), prefill, passes, UsedDevices("gpu", frozenset({"GPU-a"})))


def recorded(total: EnergyReading) -> RecordedEnergy:
    return record_energy(total, None, UsedDevices("gpu", frozenset({"GPU-a"})))


def test_many_passes_divide_the_meters_error() -> None:
    found = phases(reading(1000.0, 3.0), reading(400.0, 4.0))
    assert found.prefill_j == pytest.approx(100.0)
    assert found.decode_j == pytest.approx(900.0)
    assert found.prefill_uncertainty_j == pytest.approx(2 * 4.0 / 4)
    assert found.decode_uncertainty_j == pytest.approx(2 * math.hypot(3.0, 1.0))
    assert found.prefill_duration_s == pytest.approx(2.0)
    assert found.reason is None


@pytest.mark.parametrize(
    ("total", "prefill", "resolved", "told"),
    [
        # a prefill of 1 J in a meter that is sure of ± 2 J
        (reading(1000.0, 1.0), reading(4.0, 4.0), "decode", "prefill (1 J) is within"),
        # outputs of one token: nothing is left for decoding
        (reading(101.0, 1.0), reading(400.0, 1.0), "prefill", "decode (1 J) is within"),
        (reading(50.0, 1.0), reading(400.0, 1.0), "prefill", "another state"),
        (reading(1000.0, None), reading(400.0, 1.0), "", "states no uncertainty"),
        (reading(1000.0, 1.0), reading(None, None), "", "prefill passes: GPU-a: it fell off"),
        (reading(None, None), reading(400.0, 1.0), "", "it fell off"),
        (reading(9.0, None, method="estimated"), reading(4.0, None), "", "an estimate cannot"),
    ],
)
def test_what_does_not_stand_out_is_null_with_a_reason(
    total: EnergyReading, prefill: EnergyReading, resolved: str, told: str
) -> None:
    found = phases(total, prefill)
    assert (found.prefill_j is not None) == (resolved == "prefill")
    assert (found.decode_j is not None) == (resolved == "decode")
    assert told in str(found.reason)


@pytest.mark.parametrize(
    ("pass_s", "window_s", "passes"),
    [(0.01, 5.0, 500), (0.01, 100.0, 1000), (30.0, 60.0, 1), (0.3, 1.0, 4), (0.0, 10.0, 10_000)],
)
def test_passes_last_as_long_as_the_window(pass_s: float, window_s: float, passes: int) -> None:
    assert passes_for(pass_s, window_s) == passes
    assert passes_for(pass_s, None) == passes_for(pass_s, LONGEST_S)


def test_the_passes_are_those_of_the_windows_batches(with_plugins: Within) -> None:
    generated: list[tuple[tuple[int, ...], list[int]]] = []

    class Watched(ScriptedBackend):
        def generate(self, batch: Batch) -> list[tuple[int, ...]]:
            generated.append((batch.indices, batch.payload))
            return super().generate(batch)

    def create(workload: Workload) -> InferenceBackend:
        return Watched(workload)

    with with_plugins(backends=[scripted_backend(create=create)], samplers=[scripted_sampler()]):
        result = run_experiment(
            model="m",
            backend="scripted",
            n=6,
            max_output_tokens=4,
            warmup={"enabled": False},
            baseline={"enabled": False},
            energy={"phase_energy": True},
            scripted={"batch_size": 4, "token_time_s": 0.02},
        )
    found = result.phase_energy
    assert found is not None
    batches = [(0, 1, 2, 3), (4, 5)]
    assert [indices for indices, _ in generated[:2]] == batches
    prefills = generated[2:]
    assert [indices for indices, _ in prefills] == batches * (len(prefills) // 2)
    assert {limit for _, limits in prefills for limit in limits} == {1}
    # one to run in, one to time, and those of the window
    assert len(prefills) == 2 * (found.prefill_passes + 2)
    assert found.prefill_passes >= 1
    assert found.prefill_j is not None
    assert found.prefill_j >= 50 * 2 * 0.02
