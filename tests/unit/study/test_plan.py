from __future__ import annotations

import hashlib
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llem_core.config.execution import CycleOrder, ExecutionConfig
from llem_core.config.experiment import ExperimentConfig
from llem_core.config.study import StudyConfig
from llem_core.study.plan import Gap, apply_cycles, gap_after

pytestmark = pytest.mark.usefixtures("scripted")
SEED = "00112233445566aa"


def configs(n: int) -> list[ExperimentConfig]:
    return [
        ExperimentConfig.model_validate({"model": "m", "backend": "scripted", "n": i})
        for i in range(1, n + 1)
    ]


def planned(n: int, seed: str = SEED, **execution: Any) -> list[tuple[int, int]]:
    runs = apply_cycles(configs(n), ExecutionConfig(**execution), seed)
    assert [run.position for run in runs] == list(range(1, len(runs) + 1))
    assert all(run.config_hash == run.config.measurement_config_hash for run in runs)
    return [(run.config.n, run.cycle) for run in runs]


def test_two_configurations_by_three_cycles_are_six_runs_in_each_order() -> None:
    assert planned(2, n_cycles=3, cycle_order="sequential") == [
        (1, 1),
        (1, 2),
        (1, 3),
        (2, 1),
        (2, 2),
        (2, 3),
    ]
    assert planned(2, n_cycles=3, cycle_order="interleaved") == [
        (1, 1),
        (2, 1),
        (1, 2),
        (2, 2),
        (1, 3),
        (2, 3),
    ]
    assert len(planned(2, n_cycles=3, cycle_order="shuffled")) == 6


def test_shuffled_is_the_same_on_every_machine_and_differs_by_cycle_and_seed() -> None:
    order = planned(6, n_cycles=2, cycle_order="shuffled")
    named = {config.n: config.measurement_config_hash for config in configs(6)}
    # Stated apart from the code: a change here would reorder studies that are resumed.
    for cycle in (1, 2):
        drawn = {
            n: hashlib.sha256(f"{SEED}:{cycle}:{name}".encode()).hexdigest()
            for n, name in named.items()
        }
        assert [n for n, c in order if c == cycle] == sorted(drawn, key=drawn.__getitem__)
    assert [n for n, cycle in order if cycle == 1] != [n for n, cycle in order if cycle == 2]
    assert planned(6, seed="ff" * 8, n_cycles=2, cycle_order="shuffled") != order


def test_shuffled_does_not_depend_on_the_order_of_the_file() -> None:
    execution = ExecutionConfig(n_cycles=2, cycle_order="shuffled")
    forwards = apply_cycles(configs(5), execution, SEED)
    backwards = apply_cycles(configs(5)[::-1], execution, SEED)
    assert forwards == backwards


def test_shuffled_puts_each_configuration_first_about_equally_often() -> None:
    order = planned(4, n_cycles=2000, cycle_order="shuffled")
    first = [n for n, _ in order[::4]]
    # 500 expected, standard deviation 19: beyond 5 of them the draw is not uniform.
    assert all(abs(first.count(n) - 500) < 97 for n in (1, 2, 3, 4))


@settings(max_examples=40)
@given(st.integers(1, 6), st.integers(1, 5), st.sampled_from(get_args(CycleOrder)))
def test_every_pair_occurs_once_and_more_cycles_only_add(n: int, cycles: int, order: str) -> None:
    fewer = planned(n, n_cycles=cycles, cycle_order=order)
    more = planned(n, n_cycles=cycles + 2, cycle_order=order)
    assert sorted(fewer) == [(i, c) for i in range(1, n + 1) for c in range(1, cycles + 1)]
    assert [run for run in more if run[1] <= cycles] == fewer


def gaps(n: int, **execution: Any) -> list[Gap | None]:
    how = ExecutionConfig(config_gap_seconds=1, cycle_gap_seconds=5, **execution)
    runs = apply_cycles(configs(n), how, SEED)
    return [gap_after(runs, index, how) for index in range(len(runs))]


def test_a_cycle_gap_comes_where_the_cycle_rises_and_none_after_the_last_run() -> None:
    config, cycle = Gap("config", 1), Gap("cycle", 5)
    assert gaps(2, n_cycles=2, cycle_order="interleaved") == [config, cycle, config, None]
    assert gaps(2, n_cycles=2, cycle_order="sequential") == [cycle, config, cycle, None]
    assert gaps(3, n_cycles=1) == [config, config, None]


def test_a_gap_of_no_length_is_none() -> None:
    how = ExecutionConfig(config_gap_seconds=0, cycle_gap_seconds=0, n_cycles=2)
    runs = apply_cycles(configs(2), how, SEED)
    assert {gap_after(runs, index, how) for index in range(4)} == {None}


@settings(max_examples=40)
@given(st.permutations(range(5)), st.integers(1, 9), st.sampled_from(get_args(CycleOrder)))
def test_the_design_hash_is_blind_to_order_and_execution(
    order: list[int], cycles: int, cycle_order: str
) -> None:
    plain = configs(5)
    execution = ExecutionConfig.model_validate({"n_cycles": cycles, "cycle_order": cycle_order})
    study = StudyConfig(experiments=tuple(plain))
    other = StudyConfig(
        name="other", experiments=tuple(plain[i] for i in order), execution=execution
    )
    assert other.study_design_hash == study.study_design_hash
    assert len(study.study_design_hash) == 16


@settings(max_examples=40)
@given(st.sets(st.integers(1, 99), min_size=1), st.sets(st.integers(1, 99), min_size=1))
def test_the_design_hash_changes_with_the_experiments(first: set[int], second: set[int]) -> None:
    def design(ns: set[int]) -> str:
        fields = [{"model": "m", "backend": "scripted", "n": n} for n in ns]
        experiments = tuple(ExperimentConfig.model_validate(one) for one in fields)
        return StudyConfig(experiments=experiments).study_design_hash

    assert (design(first) == design(second)) == (first == second)
