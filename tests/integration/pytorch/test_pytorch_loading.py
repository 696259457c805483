"""What loading costs beside the model: vocabulary lists, and questions to the network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants
from llem_core.models.tokenizer import HubTokenizer
from llem_pytorch.model.hub import offline_if_unreachable


class CountingTokenizer:
    """A tokenizer of a large vocabulary that counts how often it is asked for."""

    pad_token_id = 0
    eos_token_id = 1

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, text: str, **kwargs: Any) -> dict[str, list[int]]:
        del kwargs
        return {"input_ids": list(text.encode())}

    @property
    def vocab_size(self) -> int:
        self.asked += 1
        return 1000

    @property
    def all_special_ids(self) -> list[int]:
        return [0, 1]


def test_the_vocabulary_is_listed_once_for_all_synthetic_prompts() -> None:
    counting = CountingTokenizer()
    tokenizer = HubTokenizer(counting, (1,), chat=False)
    made = [tokenizer.synthetic(50, f"7-{index}") for index in range(20)]
    assert counting.asked == 1
    assert all(len(ids) == 50 and not {0, 1} & set(ids) for ids in made)
    assert len({tuple(ids) for ids in made}) == 20


@pytest.mark.parametrize(
    ("names", "asks"),
    [
        (["shape:tiny-llama"], 0),
        (["shape:tiny-llama", "FOLDER"], 0),
        (["org/model"], 1),
        (["FOLDER", "org/adapter"], 1),
    ],
)
def test_the_network_is_asked_only_for_what_may_have_to_be_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: list[str], asks: int
) -> None:
    asked: list[None] = []

    def is_reachable() -> bool:
        asked.append(None)
        return False

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with offline_if_unreachable([n.replace("FOLDER", str(tmp_path)) for n in names], is_reachable):
        assert constants.HF_HUB_OFFLINE is bool(asks)
    assert len(asked) == asks
    assert constants.HF_HUB_OFFLINE is False
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with offline_if_unreachable(["org/model"], is_reachable):
        assert len(asked) == asks
