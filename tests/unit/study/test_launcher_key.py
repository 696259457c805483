"""``launcher`` at the top level of a study file, and slots on one machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from llem_core.config.loader import load_study_config, study_from
from llem_core.config.user import UserConfig
from llem_core.config.yaml import Document
from llem_core.environment.gpus import Gpus
from llem_core.errors import ConfigError, PreFlightError
from llem_core.results.environment import GpuRecord
from llem_core.study.launch.spawn import shares_of_gpus
from llem_core.study.runner import make_launcher

pytestmark = pytest.mark.usefixtures("scripted")


def content(**more: Any) -> dict[str, Any]:
    return {"model": "m", "backend": "scripted", **more}


def test_the_short_form_is_the_long_one() -> None:
    study = study_from(content(launcher="local", execution={"n_cycles": 2}))
    assert study.execution.launcher == "local"
    assert study.execution.n_cycles == 2
    same = content(launcher="local", execution={"launcher": "local"})
    assert study_from(same).execution.launcher == "local"


def test_an_unknown_launcher_is_told_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match="slrum"):
        study_from(content(launcher="slrum"))


def test_two_different_launchers_are_one_too_many() -> None:
    said = content(launcher="local", execution={"launcher": "slurm"})
    with pytest.raises(ConfigError, match="launcher is 'local', and execution.launcher is 'slurm'"):
        study_from(said)


def test_the_command_line_wins(tmp_path: Any) -> None:
    document = Document("s.yaml", content(launcher="slurm"))
    study = load_study_config(document, {"launcher": "local"}, environ={}, user=UserConfig())
    assert study.execution.launcher == "local"


def gpus(n: int) -> Gpus:
    return Gpus([gpu(number) for number in range(n)])


def gpu(number: int) -> GpuRecord:
    fields: dict[str, Any] = dict.fromkeys(GpuRecord.model_fields)
    named = {"index": number, "uuid": f"GPU-{number}", "name": "Simulated"}
    return GpuRecord.model_validate({**fields, **named})


@pytest.mark.parametrize(
    ("n", "slots", "shares"),
    [
        (0, 2, None),
        (2, 2, [("GPU-0",), ("GPU-1",)]),
        (5, 2, [("GPU-0", "GPU-1"), ("GPU-2", "GPU-3")]),
    ],
)
def test_no_two_slots_have_the_same_gpu(
    monkeypatch: pytest.MonkeyPatch, n: int, slots: int, shares: Sequence[Sequence[str]] | None
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert shares_of_gpus(slots, gpus(n)) == shares


def test_more_slots_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,2")
    assert shares_of_gpus(2, gpus(4)) == [("GPU-1",), ("GPU-2",)]
    with pytest.raises(PreFlightError, match="two runs would share one"):
        shares_of_gpus(3, gpus(4))


def test_slots_of_this_machine_are_one_unless_asked_for() -> None:
    alone = make_launcher(study_from(content()).execution)
    assert (alone.slots, alone.warning) == (1, None)
    two = make_launcher(study_from(content(execution={"local": {"slots": 2}})).execution)
    assert two.slots == 2
    assert "execution.local.slots" in str(two.warning)
