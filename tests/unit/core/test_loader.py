from __future__ import annotations

from pathlib import Path

import pytest
from llem_core.config.layers import from_environment, parse_assignments
from llem_core.config.loader import load_experiment_config
from llem_core.config.user import UserConfig, load_user_config
from llem_core.errors import ConfigError

pytestmark = pytest.mark.usefixtures("scripted")
GOOD = "model: m\nbackend: scripted\n"


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "experiment.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def refusal(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_experiment_config(path, environ={}, user=UserConfig())
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("model: [unclosed\n", "experiment.yaml:2:1: "),
        ("model: a\nmodel: b\n", "twice"),
        ("- a\n- b\n", "not a mapping"),
        ("", "empty"),
        ("just words", "not a mapping"),
        (GOOD + "precison: fp32\n", "did you mean 'precision'"),
        (GOOD + "decoder:\n  top_kk: 1\n", "decoder.top_kk: unknown key; did you mean 'top_k'"),
        (GOOD + "scripted:\n  batchsize: 1\n", "did you mean 'batch_size'"),
        (GOOD + "n: many\n", "n: input should be a valid integer, not 'many'"),
        (GOOD + "n: -3\n", "greater than or equal to 1, not -3"),
        (GOOD + "pytorch:\n  batch_size: 1\n", "pip install llem-pytorch"),
        (GOOD + "sweep:\n  n: [1, 2]\n", "study"),
        ("backend: scripted\n", "model: is required"),
        ("model: !!python/object/apply:os.getcwd []\n", "remove the tag"),
        ("model: &a [*a]\n", "experiment.yaml:1:12: this alias stands inside of"),
        (b"model: \xff\xfe\n", "UTF-8"),
        ("model: m\nn: " + "[" * 50_000, "nested too deeply"),
    ],
)
def test_a_file_that_cannot_be_used_says_what_where_and_what_to_do(
    tmp_path: Path, text: str | bytes, told: str
) -> None:
    assert told in refusal(write(tmp_path, text))


def test_aliases_that_stand_for_millions_of_values_are_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    assert "aliases" in refusal(write(tmp_path, "\n".join(lines)))


def test_a_huge_file_is_refused_without_being_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.yaml"
    with path.open("wb") as file:
        file.truncate(8 * 1024**3)  # a hole: takes no room
    assert "larger than" in refusal(path)


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "none.yaml")
    assert "folder" in refusal(tmp_path)


def test_flags_win_over_environment_over_file_over_user(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD + "n: 2\nmax_input_tokens: 2\nenergy: {cross_check: false}\n")
    user = UserConfig.model_validate({"energy": {"cross_check": True, "sample_interval_ms": 50}})
    environ = {"LLEM_N": "3", "LLEM_MAX_INPUT_TOKENS": "3", "LLEM_SCRIPTED__BATCH_SIZE": "3"}
    config = load_experiment_config(path, {"n": 4}, environ=environ, user=user)
    assert config.n == 4
    assert config.max_input_tokens == 3
    assert config.section.batch_size == 3  # type: ignore[attr-defined]
    assert config.energy.cross_check is False
    assert config.energy.sample_interval_ms == 50


def test_flags_win_over_a_shared_field_in_the_files_section(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD + "scripted: {n: 7, precision: bf16, batch_size: 3}\n")
    plain = load_experiment_config(path, environ={}, user=UserConfig())
    assert (plain.n, plain.precision) == (7, "bf16")
    flagged = load_experiment_config(
        path, {"n": 5}, environ={"LLEM_PRECISION": "fp16"}, user=UserConfig()
    )
    assert (flagged.n, flagged.precision) == (5, "fp16")
    assert flagged.section.batch_size == 3  # type: ignore[attr-defined]


def test_variables_that_set_nothing_are_remarked_on() -> None:
    settings, remarks = from_environment({"LLEM_PRECISON": "fp32", "HOME": "/"}, ["precision"])
    assert settings == {}
    assert "LLEM_PRECISION" in remarks[0]


def test_assignments_are_yaml() -> None:
    items = ["energy.sampler=null", "a.b=[1, 2]", "a.c={x: 1}", "n=5"]
    parsed = parse_assignments(items)
    assert parsed == {"energy": {"sampler": None}, "a": {"b": [1, 2], "c": {"x": 1}}, "n": 5}
    for wrong in ("n", "n=[1", ".n=1"):
        with pytest.raises(ConfigError):
            parse_assignments([wrong])


def test_a_missing_user_file_is_fine_and_a_wrong_one_is_not(tmp_path: Path) -> None:
    assert load_user_config(tmp_path / "none.yaml") == UserConfig()
    wrong = tmp_path / "config.yaml"
    wrong.write_text("outptu: x\n")
    with pytest.raises(ConfigError, match="did you mean 'output'"):
        load_user_config(wrong)
