"""Which GPUs a container is given."""

from __future__ import annotations

from typing import Any

import pytest
from llem_core.elsewhere.config import EnvironmentConfig
from llem_core.environment.gpus import Gpus
from llem_core.errors import PreFlightError
from llem_core.results.environment import GpuRecord
from llem_core.study.launch.environments import gpus_of

NONE = Gpus([], reason="nvidia-smi is not installed")


def cards(*names: str) -> Gpus:
    rest = {name: None for name in GpuRecord.model_fields if name not in {"index", "name", "uuid"}}
    return Gpus(
        [GpuRecord(index=i, name=name, uuid=f"GPU-{i}", **rest) for i, name in enumerate(names)]
    )


TWO = cards("A", "A")


def given(gpus: Any, found: Gpus = TWO) -> tuple[str, ...]:
    return gpus_of("e", EnvironmentConfig(image="i", gpus=gpus), found)


@pytest.fixture(autouse=True)
def _all_are_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_all_some_or_none() -> None:
    assert given(None, NONE) == ()
    assert given("all") == ("GPU-0", "GPU-1")
    assert given(1) == ("GPU-0",)
    assert given(["GPU-1"]) == ("GPU-1",)


def test_what_cuda_hides_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert given("all") == ("GPU-1",)
    assert given(1) == ("GPU-1",)
    with pytest.raises(PreFlightError, match="is 2, and this machine has 1; CUDA_VISIBLE_DEVICES"):
        given(2)


@pytest.mark.parametrize(
    ("gpus", "found", "told"),
    [
        ("all", NONE, r"is all, and this machine has no GPU \(nvidia-smi is not installed\)"),
        (3, TWO, "is 3, and this machine has 2; ask for those that are there"),
        (["GPU-7"], TWO, "names GPU-7, and this machine has GPU-0, GPU-1; correct the UUIDs"),
    ],
)
def test_what_is_not_there(gpus: Any, found: Gpus, told: str) -> None:
    with pytest.raises(PreFlightError, match=f"environments.e.gpus {told}"):
        given(gpus, found)


def test_numbers_of_unlike_cards_tell_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)
    with pytest.raises(PreFlightError, match="or list UUIDs in environments.e.gpus"):
        given("all", cards("A", "B"))
