from __future__ import annotations

from pathlib import Path

import pytest
from llem_core.config.experiment import ExperimentConfig
from llem_core.errors import ConfigError
from llem_core.measure.prompts.load import load_prompts
from llem_core.measure.result.warnings import prompt_warnings

pytestmark = pytest.mark.usefixtures("scripted")


def config(folder: Path, *lines: str) -> ExperimentConfig:
    path = folder / "prompts.jsonl"
    path.write_text("\n".join(lines))
    return ExperimentConfig.model_validate(
        {"model": "m", "backend": "scripted", "dataset": str(path), "n": len(lines)}
    )


def test_half_a_surrogate_pair_is_found_with_its_line_and_a_pair_is_a_character(
    tmp_path: Path,
) -> None:
    pair = '{"prompt": "\\ud83d\\ude00"}'
    (prompt,) = load_prompts(config(tmp_path, pair))
    assert prompt.text == "😀"
    with pytest.raises(ConfigError, match=r"prompts.jsonl, line 2: .* surrogate pair alone"):
        load_prompts(config(tmp_path, pair, '{"prompt": "a \\ud83d b"}'))


def test_prompts_that_are_the_same_are_warned_of(tmp_path: Path) -> None:
    lines = ['{"prompt": "a"}', '{"prompt": "b"}', '{"prompt": "a"}', '{"prompt": "a"}']
    (told,) = prompt_warnings(load_prompts(config(tmp_path, *lines)))
    assert told.startswith("2 of 4 prompts repeat an earlier one")
    assert not prompt_warnings(load_prompts(config(tmp_path, *lines[:2])))
