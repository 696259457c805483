"""What a study says of several engines: whether the comparison is fair, and equal outputs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from llem_core.config.experiment import ExperimentConfig
from llem_core.plugins import use_plugins
from llem_core.study.summary.engines import EngineComparison, Measured, compare_engines
from llem_core.testing import scripted_backend

from tests.unit.conftest import make_plugins

FACTS: dict[str, Any] = {
    "dataset_sha256": "same",
    "input_tokens_per_request": [3, 4],
    "output_tokens": 5,
    "model_record": {"dtype": "fp32", "random_weights": False},
    "effective_config": {"effective": {"repetition_penalty": 1.0}},
}
OUTPUTS = [[1, 2, 3], [4, 5]]


class Bench:
    """Makes configurations with results."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made: list[Measured] = []

    def add(
        self,
        backend: str,
        outputs: Sequence[Sequence[int]] | None = OUTPUTS,
        facts: dict[str, Any] | None = None,
        **fields: Any,
    ) -> Bench:
        config = ExperimentConfig(model="m", backend=backend, **fields)
        folder = self.folder / str(len(self.made))
        folder.mkdir()
        (folder / "result.json").write_text(json.dumps(FACTS | (facts or {})))
        ids = [[]] * 2 if outputs is None else [list(each) for each in outputs]
        table = pa.table({"index": list(range(len(ids))), "token_ids": ids,
                          "error": pa.nulls(len(ids), pa.string())})  # fmt: skip
        pq.write_table(table, folder / "requests.parquet")
        label = f"{backend} {len(self.made)}"
        self.made.append(Measured(config, label, folder / "result.json"))
        return self

    def compare(self) -> EngineComparison:
        return compare_engines(self.made)


@pytest.fixture
def bench(tmp_path: Path) -> Any:
    with use_plugins(make_plugins(backends=[scripted_backend("a"), scripted_backend("b")])):
        yield Bench(tmp_path)


def test_one_engine_is_compared_with_nobody(bench: Bench) -> None:
    assert bench.add("a").add("a", n=5).compare() == EngineComparison()


def test_equal_outputs_are_counted_token_by_token(bench: Bench) -> None:
    (found,) = bench.add("a").add("b", [[1, 9, 3, 7], [4, 5]]).compare().agreement
    assert (found.reference_label, found.label) == ("a 0", "b 1")
    assert (found.n_requests, found.n_equal_requests) == (2, 1)
    # Of the first, 1 and 3 of four places; of the second, both.
    assert (found.n_tokens, found.n_equal_tokens) == (6, 4)
    assert found.equal_token_share == pytest.approx(4 / 6)
    assert found.missing_reason is None


def test_alike_engines_give_no_warning(bench: Bench) -> None:
    found = bench.add("a").add("b").compare()
    assert found.warnings == ()
    assert found.agreement[0].equal_token_share == 1.0


def test_each_is_held_against_the_one_of_the_same_fields(bench: Bench) -> None:
    bench.add("a", n=5).add("a", n=6).add("b", n=6).add("b", n=5)
    found = bench.compare()
    assert [each.reference_label for each in found.agreement] == ["a 1", "a 0"]
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"model_record": {"dtype": "bf16"}}, "compute in different dtypes (fp32 and bf16)"),
        ({"dataset_sha256": "other"}, "a and b had different prompts"),
        ({"input_tokens_per_request": [5, 6]}, "tokens of the same prompts (7 and 11 in"),
        ({"output_tokens": 50}, "a and b generated different amounts (5 and 50 tokens)"),
        (
            {"effective_config": {"effective": {"repetition_penalty": 1.1}}},
            "a and b sample differently: repetition_penalty is 1.0 and 1.1",
        ),
    ],
)  # fmt: skip
def test_what_makes_it_unfair_is_said_once(bench: Bench, facts: dict[str, Any], told: str) -> None:
    bench.add("a").add("b", facts=facts).add("b", facts=facts, b={"batch_size": 2})
    (warning,) = bench.compare().warnings
    assert told in warning
    assert warning.endswith("[b 1; b 2]")


def test_different_questions_are_said(bench: Bench) -> None:
    found = bench.add("a").add("b", max_output_tokens=9).compare()
    assert "were asked for different things: max_output_tokens is not the same" in found.warnings[0]
    assert found.agreement[0].missing_reason == (
        "they were asked for different things (max_output_tokens)"
    )


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"outputs": None}, "the tokens of the outputs of b are not known"),
        ({"facts": {"model_record": {"dtype": "bf16"}}}, "(fp32 and bf16)"),
        ({"facts": {"model_record": {}}}, "(fp32 and None)"),
    ],
)
def test_why_outputs_are_not_compared(bench: Bench, more: dict[str, Any], reason: str) -> None:
    (found,) = bench.add("a").add("b", **more).compare().agreement
    assert found.equal_token_share is None
    assert reason in (found.missing_reason or "")


def test_sampled_and_random_outputs_are_not_compared(bench: Bench) -> None:
    sampled = {"do_sample": True}
    (found,) = bench.add("a", decoder=sampled).add("b", decoder=sampled).compare().agreement
    assert found.missing_reason == "outputs are sampled, so that they differ by chance"


def test_random_weights_are_each_engines_own(bench: Bench) -> None:
    random = {"model_record": {"dtype": "fp32", "random_weights": True}}
    (found,) = bench.add("a", facts=random).add("b", facts=random).compare().agreement
    assert found.missing_reason == "the weights are random, and each engine draws its own"


def test_one_backend_in_two_environments_is_two_engines(bench: Bench) -> None:
    (found,) = bench.add("a").add("a", environment="newer").compare().agreement
    assert found.label == "a 1"
