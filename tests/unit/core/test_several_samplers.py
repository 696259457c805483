"""Several samplers: one of record for each domain, one as a cross-check."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from llem_core.api import run_experiment
from llem_core.contracts import Availability, DomainKind, SamplerSettings
from llem_core.errors import PreFlightError
from llem_core.measure.energy.combine import CombinedSampler
from llem_core.plugins import Plugins, use_plugins
from llem_core.results.experiment import ExperimentResult
from llem_core.testing import (
    FakePlugin,
    LateMeter,
    ManualClock,
    PowerScript,
    scripted_backend,
    scripted_sampler,
)
from llem_core.testing.sampler import Domain
from pydantic import ValidationError

METERS: dict[str, tuple[int, Sequence[Domain]]] = {
    "boards": (300, [("GPU-a", "gpu", 400.0)]),
    "host": (200, [("GPU-a", "gpu", 430.0), ("cpu:0", "cpu", 60.0), ("dram:0", "dram", 8.0)]),
    "guess": (100, [("cpu", "cpu", 99.0), ("ram", "dram", 9.0)]),
}


def run(*meters: str, **energy: Any) -> ExperimentResult:
    plugins = Plugins()
    samplers = [
        scripted_sampler(
            name,
            priority=METERS[name][0],
            domains=METERS[name][1],
            method="estimated" if name == "guess" else "counter",
        )
        for name in meters
    ]
    backend = scripted_backend()
    plugins.register(FakePlugin(backends=[backend], samplers=samplers))
    with use_plugins(plugins):
        return run_experiment(
            model="any",
            backend="scripted",
            n=2,
            baseline={"enabled": False},
            warmup={"enabled": False},
            energy=energy,
            scripted={"gpu_uuids": ["GPU-a"]},
        )


def powers(result: ExperimentResult) -> dict[str, float]:
    assert result.energy_breakdown is not None
    assert result.mean_power_w is not None
    window_s = (result.energy_total_j or 0.0) / result.mean_power_w
    return {d.name: (d.energy_j or 0.0) / window_s for d in result.energy_breakdown.domains}


def test_auto_puts_an_estimate_beside_what_nothing_measures() -> None:
    result = run("guess", "boards")
    assert result.mean_power_w == pytest.approx(400.0, rel=0.01)
    assert result.energy_method == "counter"
    assert result.energy_breakdown is not None
    found = {d.name: (d.method, d.used) for d in result.energy_breakdown.domains}
    assert found == {
        "GPU-a": ("counter", True),
        "cpu": ("estimated", False),
        "ram": ("estimated", False),
    }
    assert result.energy_breakdown.estimated_j == pytest.approx(
        (result.energy_total_j or 0) * 108 / 400, rel=0.02
    )


def test_an_estimate_beside_does_not_keep_the_others_from_answering_for_intervals() -> None:
    settings, clock = SamplerSettings(1.0), ManualClock()
    late = LateMeter(settings, PowerScript((0.0, 100.0)), clock=clock, sleep=clock.sleep)
    (spec,) = [scripted_sampler("guess", method="estimated")]
    parts = [("late", late), ("guess", spec.create(settings))]
    assert not CombinedSampler(settings, parts).answers_intervals
    both = CombinedSampler(settings, parts, estimating=["guess"])
    assert both.answers_intervals
    late.start()
    clock.sleep(20.0)
    assert both.energy_between(2.0, 5.0).domains[0].energy_j == pytest.approx(300.0)
    late.stop()


def test_auto_reads_each_domain_by_the_best_sampler_that_has_it() -> None:
    result = run("guess", "host", "boards")
    assert result.energy_source == "boards+host"
    assert powers(result) == pytest.approx({"GPU-a": 400.0, "cpu:0": 60.0, "dram:0": 8.0}, rel=0.01)
    assert result.mean_power_w == pytest.approx(468.0, rel=0.01)


def test_a_list_is_taken_in_its_order() -> None:
    result = run("guess", "host", "boards", sampler=["host", "boards"])
    assert result.energy_source == "host+boards"
    assert powers(result)["GPU-a"] == pytest.approx(430.0, rel=0.01)


def test_estimates_of_a_list_stand_beside_the_sum() -> None:
    result = run("guess", "boards", sampler=["boards", "guess"])
    assert result.mean_power_w == pytest.approx(400.0, rel=0.01)
    assert result.energy_breakdown is not None
    assert result.energy_breakdown.estimated_j == pytest.approx(
        (result.energy_total_j or 0) * 108 / 400, rel=0.02
    )
    assert result.energy_method == "counter"


def test_a_named_cross_check_stands_beside_and_never_replaces() -> None:
    result = run("host", "boards", sampler="boards", cross_check="host")
    assert result.energy_source == "boards"
    assert result.mean_power_w == pytest.approx(400.0, rel=0.01)
    assert result.energy_cross_check_difference == pytest.approx(30 / 400, abs=0.01)
    assert list(powers(result)) == ["GPU-a"]
    assert any("cross-check of GPU-a differs" in text for text in result.measurement_warnings)


def test_a_list_that_does_not_see_the_device_is_refused() -> None:
    with pytest.raises(PreFlightError, match="'guess', which cannot be used here"):
        run("guess", "boards", sampler=["guess"])


def test_every_name_of_a_list_is_known_beforehand() -> None:
    with pytest.raises(ValidationError, match="nobody"):
        run("boards", sampler=["boards", "nobody"])
    with pytest.raises(ValidationError, match="nobody"):
        run("boards", cross_check="nobody")


def test_a_sampler_of_a_list_that_cannot_be_used_is_refused_and_the_others_are_closed() -> None:
    made: list[Any] = []
    kinds: tuple[DomainKind, ...] = ("cpu",)
    plugins = Plugins()
    good = scripted_sampler("good", created=made)
    bad = scripted_sampler("bad", available=Availability(False, "it is unplugged", kinds))
    plugins.register(FakePlugin(backends=[scripted_backend()], samplers=[good, bad]))
    with use_plugins(plugins), pytest.raises(PreFlightError, match="unplugged"):
        run_experiment(
            model="any",
            backend="scripted",
            n=1,
            baseline={"enabled": False},
            energy={"sampler": ["good", "bad"]},
        )
    assert [call for sampler in made for call in sampler.calls] in ([], ["start", "stop"])
