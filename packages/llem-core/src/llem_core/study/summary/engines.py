"""Whether a comparison between engines is fair, and whether they gave the same outputs.

Each configuration is held against one of the study's first engine: the one whose other fields are
the same, or else the first.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from llem_core.config.experiment import ExperimentConfig
from llem_core.results.study import OutputAgreement

_MOST_NAMED = 3
_LENGTHS_ALIKE = 0.01
"""Engines of the same arithmetic stop a little apart where logits are nearly equal."""
_SAMPLING = (
    *("do_sample", "temperature", "top_k", "top_p", "min_p", "repetition_penalty"),
    *("presence_penalty", "frequency_penalty", "chat_template", "stop", "stop_token_ids"),
)
_NOT_ASKED = frozenset(
    {"backend", "environment", "environments", "warmup", "baseline", "energy", "passthrough_kwargs"}
)
_SHARED = tuple(name for name in ExperimentConfig.model_fields if name not in _NOT_ASKED)
"""What an experiment asks of its engine, whichever that is."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One configuration with a result of it.

    Attributes:
        config: the configuration.
        label: what tells it from the others.
        result: its ``result.json``.
    """

    config: ExperimentConfig
    label: str
    result: Path

    @property
    def engine(self) -> tuple[str, str | None]:
        """Backend and environment: what computes."""
        return self.config.backend, self.config.environment


@dataclass(frozen=True, slots=True)
class EngineComparison:
    """What is to be said of a study with several engines."""

    warnings: tuple[str, ...] = ()
    agreement: tuple[OutputAgreement, ...] = ()


def compare_engines(measured: Sequence[Measured]) -> EngineComparison:
    """Hold each configuration of another engine against one of the first.

    Args:
        measured: each configuration that has a result, with its first one, in the study's order.
    """
    if len({one.engine for one in measured}) < 2:
        return EngineComparison()
    first = [one for one in measured if one.engine == measured[0].engine]
    facts: dict[Path, Mapping[str, Any]] = {}
    found: dict[str, list[str]] = {}
    agreement = []
    for other in measured:
        if other.engine == measured[0].engine:
            continue
        reference = _reference(other, first)
        pair = [facts.setdefault(one.result, _read(one.result)) for one in (reference, other)]
        for text in _unfair(reference, other, *pair):
            found.setdefault(text, []).append(other.label)
        agreement.append(_agreement(reference, other, *pair))
    return EngineComparison(tuple(_told(found)), tuple(agreement))


def _reference(other: Measured, first: Sequence[Measured]) -> Measured:
    """Of the first engine's, the one that shares most with it; the earliest of several."""
    return min(first, key=lambda one: len(_differing(one.config, other.config)))


def _differing(one: ExperimentConfig, other: ExperimentConfig) -> list[str]:
    """Shared fields that differ."""
    return [name for name in _SHARED if getattr(one, name) != getattr(other, name)]


def _read(file: Path) -> Mapping[str, Any]:
    """What ``result.json`` holds; empty where it cannot be read, which is told elsewhere."""
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _told(found: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for text, labels in found.items():
        shown = "; ".join(labels[:_MOST_NAMED])
        more = len(labels) - _MOST_NAMED
        yield f"{text} [{shown}{f'; and {more} more' if more > 0 else ''}]"


def _name(one: Measured) -> str:
    backend, environment = one.engine
    return backend if environment is None else f"{backend} in {environment}"


def _unfair(
    reference: Measured, other: Measured, one: Mapping[str, Any], two: Mapping[str, Any]
) -> Iterator[str]:
    """What makes the two hard to compare, each a sentence."""
    pair = f"{_name(reference)} and {_name(other)}"
    for name in _differing(reference.config, other.config):
        yield f"{pair} were asked for different things: {name} is not the same."
    dtypes = _dtype(one), _dtype(two)
    if None not in dtypes and dtypes[0] != dtypes[1]:
        yield (
            f"{pair} compute in different dtypes ({dtypes[0]} and {dtypes[1]}): part of what "
            "differs is the dtype's; set `precision` for both."
        )
    yield from _unlike_prompts(pair, one, two)
    yield from _unlike_settings(pair, one, two)
    n_one, n_two = one.get("output_tokens"), two.get("output_tokens")
    if n_one and n_two and abs(n_one - n_two) / max(n_one, n_two) > _LENGTHS_ALIKE:
        yield (
            f"{pair} generated different amounts ({n_one} and {n_two} tokens): they stop at "
            "different places; set `decoder.ignore_eos: true` for outputs of one length."
        )


def _unlike_prompts(pair: str, one: Mapping[str, Any], two: Mapping[str, Any]) -> Iterator[str]:
    if one.get("dataset_sha256") != two.get("dataset_sha256"):
        yield f"{pair} had different prompts."
        return
    lengths = [each.get("input_tokens_per_request") for each in (one, two)]
    if None not in lengths and lengths[0] != lengths[1]:
        totals = " and ".join(str(sum(each or ())) for each in lengths)
        yield (
            f"{pair} made different numbers of tokens of the same prompts ({totals} in all): a "
            "chat template, special tokens or the cut at max_input_tokens differ."
        )


def _unlike_settings(pair: str, one: Mapping[str, Any], two: Mapping[str, Any]) -> Iterator[str]:
    chosen = [(each.get("effective_config") or {}).get("effective") or {} for each in (one, two)]
    for name in _SAMPLING:
        values = [each.get(name) for each in chosen]
        if all(name in each for each in chosen) and values[0] != values[1]:
            yield f"{pair} sample differently: {name} is {values[0]!r} and {values[1]!r}."


def _dtype(facts: Mapping[str, Any]) -> str | None:
    found = (facts.get("model_record") or {}).get("dtype")
    return found if isinstance(found, str) else None


def _agreement(
    reference: Measured, other: Measured, one: Mapping[str, Any], two: Mapping[str, Any]
) -> OutputAgreement:
    """How many output tokens are equal, or why that is not asked."""
    reason = _not_comparable(reference, other, one, two)
    counts: Sequence[int | None] = (None, None, None, None)
    if reason is None:
        files = {
            _name(each): each.result.with_name("requests.parquet") for each in (reference, other)
        }
        outputs = {name: _outputs(file) for name, file in files.items()}
        missing = [name for name, ids in outputs.items() if not any(ids.values())]
        if missing:
            reason = f"the tokens of the outputs of {' and '.join(missing)} are not known"
        else:
            counts = _counted(*outputs.values())
    n_requests, n_equal_requests, n_tokens, n_equal_tokens = counts
    share = n_equal_tokens / n_tokens if n_tokens and n_equal_tokens is not None else None
    return OutputAgreement(
        reference_hash=reference.config.measurement_config_hash,
        reference_label=reference.label,
        config_hash=other.config.measurement_config_hash,
        label=other.label,
        n_requests=n_requests,
        n_equal_requests=n_equal_requests,
        n_tokens=n_tokens,
        n_equal_tokens=n_equal_tokens,
        equal_token_share=share,
        missing_reason=reason,
    )


def _not_comparable(
    reference: Measured, other: Measured, one: Mapping[str, Any], two: Mapping[str, Any]
) -> str | None:
    if reference.config.decoder.do_sample or other.config.decoder.do_sample:
        return "outputs are sampled, so that they differ by chance"
    differing = _differing(reference.config, other.config)
    if differing:
        return f"they were asked for different things ({', '.join(differing)})"
    if _dtype(one) is None or _dtype(one) != _dtype(two):
        return f"their dtypes are not known to be the same ({_dtype(one)} and {_dtype(two)})"
    random = (one.get("model_record") or {}).get("random_weights")
    if random and reference.config.backend != other.config.backend:
        return "the weights are random, and each engine draws its own"
    return None


def _outputs(result: Path) -> dict[int, list[int]]:
    """Token ids of each finished request, by its prompt; empty where they are not known."""
    import pyarrow as pa  # a study of one engine does without
    import pyarrow.parquet as pq

    try:
        rows = pq.read_table(
            result.with_name("requests.parquet"), columns=["index", "token_ids", "error"]
        )
    except (OSError, KeyError, pa.ArrowException):
        return {}
    columns = (rows.column(name).to_pylist() for name in ("index", "token_ids", "error"))
    return {index: ids or [] for index, ids, error in zip(*columns, strict=True) if error is None}


def _counted(
    one: Mapping[int, Sequence[int]], two: Mapping[int, Sequence[int]]
) -> tuple[int, int, int, int]:
    """Requests, those that are equal, tokens, and those that are equal at the same place."""
    common = one.keys() & two.keys()
    n_equal_requests = sum(list(one[index]) == list(two[index]) for index in common)
    n_tokens = sum(max(len(one[index]), len(two[index])) for index in common)
    pairs = (pair for index in common for pair in zip_longest(one[index], two[index]))
    n_equal_tokens = sum(mine == theirs for mine, theirs in pairs)
    return len(common), n_equal_requests, n_tokens, n_equal_tokens
