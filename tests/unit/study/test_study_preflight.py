from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from llem_core.config.execution import ExecutionConfig
from llem_core.config.study import StudyConfig
from llem_core.config.sweep.expand import expand_grid
from llem_core.contracts import Availability, BackendSpec, CheckReport, Workload
from llem_core.errors import PreFlightError
from llem_core.plugins import Plugins
from llem_core.study.pace import estimate_seconds
from llem_core.study.preflight import check_study
from llem_core.testing import scripted_backend, scripted_sampler

Within = Callable[..., AbstractContextManager[Plugins]]


def study(execution: dict[str, Any] | None = None, **fields: Any) -> StudyConfig:
    found = expand_grid({"model": "m", "backend": "scripted", **fields})
    return StudyConfig(
        experiments=found.experiments,
        labels=found.labels,
        skipped=found.skipped,
        execution=ExecutionConfig.model_validate(execution or {}),
    )


def refusal(found: StudyConfig, output: Path) -> str:
    with pytest.raises(PreFlightError) as caught:
        check_study(found, output).raise_if_any()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_sound_study_has_no_problems(with_plugins: Within, tmp_path: Path) -> None:
    with with_plugins():
        report = check_study(study(sweep={"n": [1, 2]}), tmp_path)
    assert report.problems == ()
    report.raise_if_any()
    assert (report.n_runs, report.n_configurations) == (2, 2)


def test_all_problems_come_at_once_each_once_with_what_has_it(
    with_plugins: Within, tmp_path: Path
) -> None:
    with with_plugins(samplers=[scripted_sampler(available=Availability(False, "unplugged"))]):
        found = study(
            sweep=[
                {"scripted.fail_at": ["check"], "random_seed": [1, 2]},
                {"n": [5000]},
                {"dataset": ["none.jsonl"]},
                {"energy.sampler": ["scripted_meter"]},
            ]
        )
        report = check_study(found, tmp_path / "missing" / "deep")
    told = {problem.text: len(problem.labels) for problem in report.problems}
    assert sum(told.values()) == 5
    with pytest.raises(PreFlightError) as caught:
        report.raise_if_any()
    for part in ("the script says", "n is 5000", "none.jsonl", "unplugged", "4 reasons"):
        assert part in str(caught.value)
    assert not (tmp_path / "missing").exists()


def test_backends_that_are_all_installed_here_share_a_study(
    with_plugins: Within, tmp_path: Path
) -> None:
    with with_plugins(backends=[scripted_backend(), scripted_backend("other")]):
        found = study(sweep={"backend": ["scripted", "other"]})
        assert check_study(found, tmp_path).problems == ()


def test_a_backend_that_is_not_installed_counts_as_one_that_is_asked_for(
    with_plugins: Within, tmp_path: Path
) -> None:
    with with_plugins():
        told = refusal(study(sweep={"backend": ["scripted", "vllm"]}), tmp_path)
    assert "the backends scripted and vllm, of which vllm is not installed here" in told
    assert "`environments: {vllm: {python: /path/bin/python}}`" in told
    assert "Docker runner" in told


def test_memory_that_cannot_suffice_is_a_problem(with_plugins: Within, tmp_path: Path) -> None:
    report = CheckReport(memory_estimate_bytes=2**34, memory_available_bytes=2**33)
    with with_plugins(backends=[scripted_backend(report=report)]):
        found = check_study(study(), tmp_path)
    assert "16.0 GiB" in found.problems[0].text
    assert (found.memory_needed_bytes, found.memory_available_bytes) == (2**34, 2**33)


def test_a_disk_that_is_too_small_is_a_problem(with_plugins: Within, tmp_path: Path) -> None:
    fields = {"dataset": "synthetic", "n": 1000, "max_output_tokens": 10**6}
    with with_plugins():
        assert "make room" in refusal(study({"n_cycles": 10_000}, **fields), tmp_path)


def test_the_disk_is_asked_for_what_is_left(with_plugins: Within, tmp_path: Path) -> None:
    with with_plugins():
        found = study({"n_cycles": 4}, sweep={"n": [1, 1000]})
        small, large = found.experiments
        whole = check_study(found, tmp_path).disk_needed_bytes
        once = {(small.measurement_config_hash, 1), (large.measurement_config_hash, 1)}
        assert check_study(found, tmp_path, once).disk_needed_bytes == whole * 3 / 4
        larges = {(large.measurement_config_hash, cycle) for cycle in (1, 2, 3, 4)}
        only_small = check_study(found, tmp_path, larges).disk_needed_bytes
    assert 0 < only_small < whole / 3


def test_a_file_in_the_place_of_the_output_folder_is_a_problem(
    with_plugins: Within, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with with_plugins():
        assert "cannot be written" in refusal(study(), tmp_path / "file")


def test_the_backend_is_asked_once_a_workload(with_plugins: Within, tmp_path: Path) -> None:
    asked: list[Workload] = []
    spec = scripted_backend()

    def check(workload: Workload) -> CheckReport:
        asked.append(workload)
        return CheckReport()

    counting = BackendSpec(spec.name, spec.summary, spec.section, spec.create, check)
    with with_plugins(backends=[counting]):
        check_study(study(sweep={"n": [1, 2, 3], "max_output_tokens": [4, 5]}), tmp_path)
    assert len(asked) == 2


def test_the_estimate_counts_waits_and_says_what_it_leaves_out(with_plugins: Within) -> None:
    execution = {
        "n_cycles": 2,
        "cycle_order": "interleaved",
        "config_gap_seconds": 1,
        "cycle_gap_seconds": 10,
    }
    fields = {"baseline": {"duration_seconds": 3}, "warmup": {"thermal_floor_seconds": 5}}
    with with_plugins(samplers=[scripted_sampler()]):
        found = estimate_seconds(study(execution, sweep={"n": [1, 2]}, **fields))
    assert found.n_runs == 4
    assert found.gaps_s == 12
    assert found.baselines_s == 4 * 2 * 3
    assert found.thermal_floors_s == 4 * 5
    assert found.at_least_s == 56
    assert "measuring" in found.not_counted
    with with_plugins():  # no meter: no baselines
        assert estimate_seconds(study(execution, **fields)).baselines_s == 0


def test_checking_a_study_imports_no_engine(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text("model: shape:tiny-llama\nsweep: {pytorch.batch_size: [1, 2]}\n")
    code = (
        "import sys, pathlib\n"
        "from llem_core.config.loader import load_study_config\n"
        "from llem_core.study.preflight import check_study\n"
        f"study = load_study_config({str(file)!r})\n"
        f"check_study(study, pathlib.Path({str(tmp_path)!r}))\n"
        "print(sorted({'torch', 'transformers', 'pyarrow'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
