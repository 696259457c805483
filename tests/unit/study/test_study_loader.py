from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from llem_core.config.experiment import ExperimentConfig
from llem_core.config.layers import is_study
from llem_core.config.loader import load_study_config, study_of
from llem_core.config.study import StudyConfig
from llem_core.config.user import UserConfig
from llem_core.errors import ConfigError

pytestmark = pytest.mark.usefixtures("scripted")
GOOD = "model: m\nbackend: scripted\n"


def write(folder: Path, text: str, name: str = "night.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def load(path: Path, overrides: dict[str, Any] | None = None, **more: Any) -> StudyConfig:
    return load_study_config(path, overrides, **{"environ": {}, "user": UserConfig(), **more})


def refusal(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_file_with_any_study_key_is_a_study() -> None:
    assert not is_study({"model": "m"})
    assert all(is_study({key: None}) for key in ("name", "base", "sweep", "experiments"))


def test_every_layer_wins_over_the_one_below(tmp_path: Path) -> None:
    write(tmp_path, "model: base\nn: 1\nscripted: {precision: fp16, batch_size: 1}\n", "b.yaml")
    path = write(
        tmp_path,
        "base: b.yaml\nbackend: scripted\nprecision: bf16\nn: 2\nmax_output_tokens: 2\n"
        "sweep:\n  max_output_tokens: [3, 4]\n  max_input_tokens: [3]\n  random_seed: [3]\n",
    )
    user = UserConfig.model_validate({"energy": {"sample_interval_ms": 50}})
    study = load(
        path,
        {"random_seed": 9},
        environ={"LLEM_MAX_INPUT_TOKENS": "7", "LLEM_RANDOM_SEED": "7"},
        user=user,
    )
    first, second = study.experiments
    assert (first.model, first.precision, first.n) == ("base", "bf16", 2)
    assert first.section.batch_size == 1  # type: ignore[attr-defined]
    assert (first.max_output_tokens, second.max_output_tokens) == (3, 4)
    assert (first.max_input_tokens, first.random_seed) == (7, 9)
    assert first.energy.sample_interval_ms == 50
    assert study.n_generated == 2
    assert study.name == "night"


def test_execution_has_its_layers_too(tmp_path: Path) -> None:
    text = GOOD + "execution: {n_cycles: 3, cycle_gap_seconds: 3, experiment_timeout_seconds: 3}\n"
    study = load(
        write(tmp_path, text),
        {"execution": {"experiment_timeout_seconds": 5}},
        environ={"LLEM_EXECUTION__CYCLE_GAP_SECONDS": "4"},
        user=UserConfig(config_gap_seconds=1, cycle_gap_seconds=1),
        execution_overrides={"max_experiments": 6},
        execution_defaults={"cycle_order": "shuffled", "config_gap_seconds": 0, "n_cycles": 2},
    )
    execution = study.execution
    assert (execution.n_cycles, execution.cycle_order) == (3, "shuffled")
    assert (execution.config_gap_seconds, execution.cycle_gap_seconds) == (1, 4)
    assert (execution.experiment_timeout_seconds, execution.max_experiments) == (5, 6)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (GOOD + "sweep: {n: 5}\n", "sweep.n: 5 is no list"),
        (GOOD + "execution: 3\n", "execution: 3 stands where a mapping belongs"),
        (GOOD + "execution: {cycles: 3}\n", "execution.cycles: unknown key; did you mean"),
        (GOOD + "execution: {n_cycles: 0}\n", "execution.n_cycles"),
        (GOOD + "execution: {cycle_order: random}\n", "execution.cycle_order"),
        (GOOD + "name: ../elsewhere\n", "name: "),
        (GOOD + "name: ''\n", "name: "),
        (GOOD + "name: 3\n", "name: "),
        ("base: none.yaml\n" + GOOD, "base: "),
        ("base: night.yaml\n" + GOOD, "names this very file"),
        ("base: 3\n" + GOOD, "base: 3 is no path"),
        ("base: study.yaml\n" + GOOD, "is a study itself (it has sweep)"),
        ("base: broken.yaml\n" + GOOD, "broken.yaml:2:1: "),
        ("backend: scripted\nsweep: {n: [1, 2]}\n", "model: is required"),
    ],
)
def test_a_study_that_cannot_be_used_says_what_where_and_what_to_do(
    tmp_path: Path, text: str, told: str
) -> None:
    write(tmp_path, "sweep: {n: [1]}\n", "study.yaml")
    write(tmp_path, "model: [\n", "broken.yaml")
    assert told in refusal(write(tmp_path, text))


def test_a_file_name_that_cannot_name_a_folder_is_made_to(tmp_path: Path) -> None:
    assert load(write(tmp_path, GOOD, " my (first) study.yaml")).name == "my-first-study"
    assert load(write(tmp_path, GOOD + "name: a.b-c_1\n")).name == "a.b-c_1"


def test_an_experiment_is_a_study_of_one() -> None:
    config = ExperimentConfig.model_validate({"model": "org/My Model", "backend": "scripted"})
    study = study_of(config)
    assert study.experiments == (config,)
    assert study.name == "My-Model"
    assert study.label(config.measurement_config_hash) == "org/My Model"
    assert study.execution.n_cycles == 1


LINES = """model: m
backend: scripted
scripted:
  batch_size: 0
sweep:
  n:
    - 1
    - 0
  scripted.max_output_tokens: [4, 0]
experiments:
  - n: 2
  - scripted: {batch_size: 1, precision: int3}
"""


def test_each_skipped_combination_names_the_line_that_it_fails_by(tmp_path: Path) -> None:
    write(tmp_path, "scripted: {batch_size: -1}\nwarmup: {n_warmup: 0}\n", "base.yaml")
    path = write(tmp_path, f"base: base.yaml\n{LINES}")
    told = refusal(path)
    here, base = str(path), str(tmp_path / "base.yaml")
    assert f"{here}:5: scripted.batch_size: " in told  # the file's own, over that of its base
    assert f"{base}:2: warmup.n_warmup: " in told
    assert f"{here}:9: n: " in told
    assert f"{here}:10: max_output_tokens: " in told or "line 10: max_output_tokens: " in told

    path = write(tmp_path, LINES.replace("batch_size: 0", "batch_size: 1"))
    study = load_study_config(path, environ={}, user=UserConfig())
    reasons = " ".join(skipped.reason for skipped in study.skipped)
    assert f"{path}:8: n: " in reasons
    assert f"{path}:9: max_output_tokens: " in reasons
    assert f"{path}:12: precision: " in reasons


def test_an_error_names_where_the_value_comes_from(tmp_path: Path) -> None:
    path = write(tmp_path, LINES.replace("batch_size: 0", "batch_size: 1"))
    with pytest.raises(ConfigError, match=f"{path}:1: none .*command line: precision: "):
        load_study_config(path, {"precision": "int3"}, environ={}, user=UserConfig())
    with pytest.raises(ConfigError, match=r"LLEM_\* variables: random_seed: "):
        load_study_config(path, environ={"LLEM_RANDOM_SEED": "-1"}, user=UserConfig())
