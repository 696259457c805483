"""Baselines that experiments of a study hand on, and when they are not used."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from llem_core.contracts.sampler import DomainReading, EnergyReading, PowerSample
from llem_core.measure.baseline.cache import BaselineCache, boot_id
from llem_core.measure.harness import measure
from llem_core.plugins import Plugins
from llem_core.results.experiment import ExperimentResult
from llem_core.testing import ScriptedSampler, scripted_sampler
from llenergymeasure import ExperimentConfig

Within = Callable[..., AbstractContextManager[Plugins]]
FAST: dict[str, Any] = {
    "model": "m",
    "backend": "scripted",
    "n": 2,
    "max_output_tokens": 2,
    "warmup": {"enabled": False},
    "baseline": {"duration_seconds": 0.1},
    "scripted": {"token_time_s": 0.002},
}


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def reading(energy_j: float = 5.0) -> EnergyReading:
    domain = DomainReading("GPU-a", "gpu", energy_j, "counter", shared_with=("1 other",))
    return EnergyReading("w", 1.0, 2.0, (domain,), (PowerSample(1.5, "GPU-a", 5.0),), {"x": 1})


def cache(path: Path, clock: Clock, boot: str | None = "boot") -> BaselineCache:
    return BaselineCache(path / "baselines.json", clock=clock, started=lambda: boot)


def test_a_baseline_is_handed_on_with_its_age_and_without_its_samples(tmp_path: Path) -> None:
    clock = Clock()
    cache(tmp_path, clock).put("k", [reading()], age_s=3.0, ttl_s=100.0)
    clock.now_s += 7.0
    found = cache(tmp_path, clock).get("k", 100.0)
    assert found is not None
    (kept,), age_s = found
    assert age_s == pytest.approx(10.0)
    assert kept.domains == reading().domains
    assert kept.samples == ()
    assert cache(tmp_path, clock).get("other", 100.0) is None
    assert [path.name for path in tmp_path.iterdir()] == ["baselines.json"]


def test_one_that_is_too_old_is_none_and_is_dropped(tmp_path: Path) -> None:
    clock = Clock()
    store = cache(tmp_path, clock)
    store.put("old", [reading()], age_s=0.0, ttl_s=100.0)
    clock.now_s += 100.0
    assert store.get("old", 100.0) is not None
    clock.now_s += 0.1
    assert store.get("old", 100.0) is None
    store.put("new", [reading()], age_s=0.0, ttl_s=100.0)
    assert list(json.loads(store.path.read_text())["entries"]) == ["new"]


def test_another_start_of_the_machine_has_none(tmp_path: Path) -> None:
    clock = Clock()
    cache(tmp_path, clock, "one").put("k", [reading()], age_s=0.0, ttl_s=100.0)
    assert cache(tmp_path, clock, "one").get("k", 100.0) is not None
    assert cache(tmp_path, clock, "two").get("k", 100.0) is None
    clock.now_s = 0.0
    assert cache(tmp_path, clock, "one").get("k", 100.0) is None


def test_without_a_name_for_the_start_nothing_is_kept(tmp_path: Path) -> None:
    store = cache(tmp_path, Clock(), None)
    store.put("k", [reading()], age_s=0.0, ttl_s=100.0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": 1}', '{"version": 2, "x": 1}'])
def test_a_file_that_cannot_be_read_is_an_empty_cache(tmp_path: Path, content: str) -> None:
    store = cache(tmp_path, Clock())
    store.path.write_text(content)
    assert store.get("k", 100.0) is None
    store.put("k", [reading()], age_s=0.0, ttl_s=100.0)
    assert store.get("k", 100.0) is not None


def test_a_folder_that_cannot_be_written_costs_nothing(tmp_path: Path) -> None:
    store = cache(tmp_path / "absent", Clock())
    store.put("k", [reading()], age_s=0.0, ttl_s=100.0)
    assert store.get("k", 100.0) is None


@pytest.fixture
def study(
    with_plugins: Within, tmp_path: Path
) -> Callable[..., tuple[ExperimentResult, list[str]]]:
    """One experiment of a study; gives its result and the baselines that were measured."""
    if boot_id() is None:
        pytest.skip("this system does not name its starts")

    def run(power_w: float = 50.0, **fields: Any) -> tuple[ExperimentResult, list[str]]:
        made: list[ScriptedSampler] = []
        domains = [("cpu:0", "cpu", power_w)]
        with with_plugins(samplers=[scripted_sampler(domains=domains, created=made)]):
            config = ExperimentConfig.model_validate({**FAST, **fields})
            store = BaselineCache(tmp_path / "baselines.json")
            result = measure(config, lambda _: None, baselines=store).result
        begun = [call.removeprefix("begin ") for call in made[0].calls if "begin" in call]
        return result, [name[:-2] for name in begun if name.endswith("-0")]

    return run


def test_the_next_experiment_uses_both(study: Callable[..., Any]) -> None:
    first, measured = study()
    assert measured == ["baseline", "loaded_baseline"]
    assert (first.baseline.cached, first.loaded_baseline.cached) == (False, False)
    second, measured = study(power_w=70.0)
    assert measured == []
    assert second.loaded_baseline.cached
    assert second.loaded_baseline_power_w == pytest.approx(50.0)
    assert second.baseline_power_w == pytest.approx(50.0)
    assert second.mean_power_w == pytest.approx(70.0)
    assert second.loaded_baseline.age_s > first.loaded_baseline.age_s
    assert second.energy_adjusted_j == pytest.approx(second.energy_total_j * 20.0 / 70.0)


def test_another_configuration_takes_the_one_before_load_alone(study: Callable[..., Any]) -> None:
    study()
    _, measured = study(n=3)
    assert measured == ["loaded_baseline"]


def test_another_length_is_another_baseline(study: Callable[..., Any]) -> None:
    study()
    _, measured = study(baseline={"duration_seconds": 0.2})
    assert measured == ["baseline", "loaded_baseline"]


def test_a_time_to_live_of_zero_measures_anew(study: Callable[..., Any]) -> None:
    settings = {"duration_seconds": 0.1, "cache_ttl_seconds": 0}
    study(baseline=settings)
    result, measured = study(baseline=settings)
    assert measured == ["baseline", "loaded_baseline"]
    assert not result.loaded_baseline.cached


def test_a_broken_baseline_is_not_handed_on(study: Callable[..., Any]) -> None:
    study(power_w=None)
    _, measured = study()
    assert measured == ["baseline", "loaded_baseline"]


def test_machines_that_share_a_study_keep_each_others_baselines(tmp_path: Path) -> None:
    clock = Clock()
    cache(tmp_path, clock, "one").put("node-1", [reading()], age_s=0.0, ttl_s=100.0)
    cache(tmp_path, clock, "two").put("node-2", [reading()], age_s=0.0, ttl_s=100.0)
    assert cache(tmp_path, clock, "one").get("node-1", 100.0) is not None
    assert cache(tmp_path, clock, "two").get("node-2", 100.0) is not None
    assert cache(tmp_path, clock, "two").get("node-1", 100.0) is None
