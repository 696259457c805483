"""Compares two sides: pairs their configurations and runs, and gives each pair a verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from llem_core.errors import ConfigError

from llem_report.compare.alike import Pair, objections, remarks
from llem_report.compare.metrics import ENERGY, METRICS, SPEED, Metric, metric
from llem_report.compare.side import Configuration, Sample, Side
from llem_report.compare.statistics import (
    Difference,
    by_meter,
    holm,
    paired,
    to_percent,
    unpaired,
)

Verdict = Literal["worse", "better", "equivalent", "cannot be told apart"]
_DEFAULT_LIMIT_PERCENT = 3.0


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked.

    Attributes:
        metrics: names of the figures; the energy per output token where both sides measured it,
            else the output tokens/s, if none is given.
        max_regression_percent: the largest loss that is acceptable (%); ``None`` for no gate.
        confidence: of every statement, over all of the comparison together.
        anyway: whether to compare what is not alike.
    """

    metrics: Sequence[str] = ()
    max_regression_percent: float | None = None
    confidence: float = 0.95
    anyway: bool = False

    @property
    def limit_percent(self) -> float:
        """Differences up to this count as equivalent (%)."""
        given = self.max_regression_percent
        return _DEFAULT_LIMIT_PERCENT if given is None else given


@dataclass(frozen=True, slots=True)
class Row:
    """One configuration and metric on both sides.

    Attributes:
        label: what tells the configuration from the others.
        config_hash_before, config_hash_after: of each side.
        metric, unit, better: what is compared.
        n_before, n_after: runs that have it.
        before, after: geometric means over the runs, in ``unit``; ``None`` where no run has it.
        difference_percent: after / before less 1 (%).
        interval_low_percent, interval_high_percent: two-sided, at the confidence asked for, of
            this row alone.
        method: how the interval was come by; ``None`` without one.
        p_regression: one-sided, against a loss of at most the limit; not corrected.
        verdict: what can be said.
        beyond_limit: whether the loss is beyond the limit, at the confidence asked for.
        reason: why there is no interval.
    """

    label: str
    config_hash_before: str
    config_hash_after: str
    metric: str
    unit: str
    better: Literal["lower", "higher"]
    n_before: int
    n_after: int
    before: float | None
    after: float | None
    difference_percent: float | None
    interval_low_percent: float | None
    interval_high_percent: float | None
    method: str | None
    p_regression: float | None
    verdict: Verdict
    beyond_limit: bool
    reason: str | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """The answer.

    Attributes:
        before, after: names of the two sides, and what was named.
        rows: one a configuration and metric.
        objections: what is not alike although it should be; empty unless asked to go on anyway.
        remarks: what else to know.
        only_before, only_after: labels of configurations that the other side lacks.
        limit_percent: differences up to this count as equivalent (%).
        gate: whether a loss beyond the limit is a failure.
        confidence: of the verdicts together.
    """

    before: str
    after: str
    rows: tuple[Row, ...]
    objections: tuple[str, ...]
    remarks: tuple[str, ...]
    only_before: tuple[str, ...]
    only_after: tuple[str, ...]
    limit_percent: float
    gate: bool
    confidence: float

    @property
    def failed(self) -> bool:
        """Whether there is a loss beyond the limit, and that was asked."""
        return self.gate and any(row.beyond_limit for row in self.rows)


def compare(before: Side, after: Side, question: Question | None = None) -> Comparison:
    """Compare two sides.

    Args:
        before: the reference.
        after: what is judged.
        question: what is asked.

    Raises:
        ConfigError: they have nothing in common, lack the metric, or are not alike and
            ``anyway`` was not asked for; the message says all that differs.
    """
    question = question or Question()
    pairs = _pairs(before, after)
    metrics, chosen = _metrics(pairs, question.metrics)
    against = objections(pairs, metrics)
    if against and not question.anyway:
        raise ConfigError(
            f"{before.source} and {after.source} cannot be compared as they are: "
            f"{'; '.join(against)}. The difference would be that of these as well; go on with "
            "--anyway, and it will be said."
        )
    designed = before.design_hash is not None and before.design_hash == after.design_hash
    asked = [(pair, one) for pair in pairs for one in metrics]
    found = [_difference(pair, one, designed=designed) for pair, one in asked]
    matched = {id(side) for pair in pairs for side in (pair.before, pair.after)}
    return Comparison(
        before=f"{before.name} ({before.source})",
        after=f"{after.name} ({after.source})",
        rows=tuple(_judged(asked, found, question)),
        objections=tuple(against),
        remarks=(*before.remarks, *after.remarks, *chosen, *remarks(pairs), *_on(found)),
        only_before=_left(before, matched),
        only_after=_left(after, matched),
        limit_percent=question.limit_percent,
        gate=question.max_regression_percent is not None,
        confidence=question.confidence,
    )


def _pairs(before: Side, after: Side) -> list[Pair]:
    """Configurations of one hash; where each side has a single one, these two."""
    pairs = [
        Pair(before.by_hash[name], one)
        for name, one in after.by_hash.items()
        if name in before.by_hash
    ]
    if pairs:
        return pairs
    if len(before.configurations) == len(after.configurations) == 1:
        return [Pair(before.configurations[0], after.configurations[0])]
    raise ConfigError(
        f"{before.source} and {after.source} have no configuration in common, so nothing can be "
        "paired; compare runs of the same configurations, or one experiment with another."
    )


def _left(side: Side, matched: set[int]) -> tuple[str, ...]:
    return tuple(one.label for one in side.configurations if id(one) not in matched)


def _metrics(pairs: Sequence[Pair], names: Sequence[str]) -> tuple[list[Metric], list[str]]:
    """The metrics, and what to say of the choice."""
    if names:
        metrics = [metric(name) for name in dict.fromkeys(names)]
        for one in metrics:
            if not any(_has(pair, one) for pair in pairs):
                raise ConfigError(
                    f"no configuration has {one.name} on both sides, so it cannot be compared; "
                    f"{SPEED} is in every result."
                )
        return metrics, []
    if all(_measured(pair) and _has(pair, METRICS[ENERGY]) for pair in pairs):
        return [METRICS[ENERGY]], []
    return [METRICS[SPEED]], [
        f"{SPEED} is compared, as {ENERGY} was not measured in all runs of both sides."
    ]


def _measured(pair: Pair) -> bool:
    facts = [*pair.before.all_facts, *pair.after.all_facts]
    return all(one.energy_method in {"counter", "integrated"} for one in facts)


def _has(pair: Pair, asked: Metric) -> bool:
    return all(_values(side, asked) for side in (pair.before, pair.after))


def _values(side: Configuration, asked: Metric) -> list[float]:
    return [one.figures[asked.name] for one in side.samples if asked.name in one.figures]


def _difference(pair: Pair, asked: Metric, *, designed: bool) -> Difference | None:
    """The difference by the best method that the two sides allow."""
    sides = [[s for s in c.samples if asked.name in s.figures] for c in (pair.before, pair.after)]
    before, after = ([s.figures[asked.name] for s in side] for side in sides)
    if not before or not after:
        return None
    if len(before) == len(after) == 1:
        relative = [side[0].relative_uncertainty.get(asked.energy or "") for side in sides]
        known = [one for one in relative if one is not None]
        return by_meter(before[0], after[0], known) if len(known) == 2 else None
    if len({s.node for side in sides for s in side if s.node}) > 1:
        found = paired(_matched(sides, asked, _by_node), "paired by node")
        return found or unpaired(before, after)
    found = paired(_matched(sides, asked, _by_cycle)) if designed else None
    return found or unpaired(before, after)


def _matched(
    sides: Sequence[Sequence[Sample]], asked: Metric, keyed: object
) -> list[tuple[float, float]]:
    """Figures of runs that have the same key on both sides."""
    assert callable(keyed)
    first, second = (keyed(side) for side in sides)
    return [
        (first[key].figures[asked.name], second[key].figures[asked.name])
        for key in first
        if key in second
    ]


def _by_cycle(side: Sequence[Sample]) -> Mapping[object, Sample]:
    return {one.cycle: one for one in side if one.cycle is not None}


def _by_node(side: Sequence[Sample]) -> Mapping[object, Sample]:
    """The first run on a node, the second, …"""
    seen: dict[str | None, int] = {}
    keyed: dict[object, Sample] = {}
    for one in side:
        seen[one.node] = seen.get(one.node, 0) + 1
        keyed[one.node, seen[one.node]] = one
    return keyed


def _on(found: Sequence[Difference | None]) -> list[str]:
    methods = {one.method for one in found if one is not None}
    told = []
    if "meter" in methods:
        told.append(
            "One run on each side: the interval is the meter's own uncertainty between runs on one "
            "card. What else scatters from run to run is not in it; cycles would show that."
        )
    if "one against several" in methods:
        told.append(
            "One run is held against the scatter of the other side's, as if its own were the same."
        )
    return told


def _judged(
    asked: Sequence[tuple[Pair, Metric]], found: Sequence[Difference | None], question: Question
) -> list[Row]:
    """Rows with verdicts; each kind of statement is right for all rows together (Holm)."""
    alpha = 1 - question.confidence
    p_values = [
        (None, None, None) if one is None else _p_values(one, m, question.limit_percent)
        for one, (_, m) in zip(found, asked, strict=True)
    ]
    beyond, differs, equivalent = (holm([p[kind] for p in p_values], alpha) for kind in range(3))
    return [
        _row(
            pair,
            one,
            difference,
            question,
            p_values[i][0],
            _verdict(
                difference, one, beyond=beyond[i], differs=differs[i], equivalent=equivalent[i]
            ),
            beyond[i],
        )
        for i, ((pair, one), difference) in enumerate(zip(asked, found, strict=True))
    ]


def _p_values(
    difference: Difference, asked: Metric, limit_percent: float
) -> tuple[float, float, float]:
    """Against: no loss beyond the limit; no difference; a difference beyond the limit."""
    lower, upper = _limits(limit_percent)
    lower_better = asked.better == "lower"
    beyond = difference.p_above(upper) if lower_better else difference.p_below(lower)
    equivalent = max(difference.p_above(lower), difference.p_below(upper))
    return beyond, difference.p_zero(), equivalent


def _limits(limit_percent: float) -> tuple[float, float]:
    share = limit_percent / 100
    return math.log1p(-share), math.log1p(share)


def _verdict(
    difference: Difference | None,
    asked: Metric,
    *,
    beyond: bool,
    differs: bool,
    equivalent: bool,
) -> Verdict:
    if beyond:
        return "worse"
    if difference is None or not (equivalent or differs):
        return "cannot be told apart"
    if equivalent:
        return "equivalent"
    rises = difference.log_ratio > 0
    return "worse" if rises == (asked.better == "lower") else "better"


def _row(
    pair: Pair,
    asked: Metric,
    difference: Difference | None,
    question: Question,
    p_regression: float | None,
    verdict: Verdict,
    beyond: bool,
) -> Row:
    before, after = (_mean(_values(side, asked)) for side in (pair.before, pair.after))
    percent = low = high = None
    if before and after:
        percent = 100 * (after / before - 1)
    if difference is not None:
        percent = to_percent(difference.log_ratio)
        low, high = difference.interval_percent(question.confidence)
    return Row(
        label=pair.label,
        config_hash_before=pair.before.config_hash,
        config_hash_after=pair.after.config_hash,
        metric=asked.name,
        unit=asked.unit,
        better=asked.better,
        n_before=len(_values(pair.before, asked)),
        n_after=len(_values(pair.after, asked)),
        before=before,
        after=after,
        difference_percent=percent,
        interval_low_percent=low,
        interval_high_percent=high,
        method=None if difference is None else difference.method,
        p_regression=p_regression,
        verdict=verdict,
        beyond_limit=beyond,
        reason=None if difference is not None else _why(before, after, asked),
    )


def _why(before: float | None, after: float | None, asked: Metric) -> str:
    if before is None or after is None:
        return f"{asked.name} is missing on {'the first' if before is None else 'the second'} side"
    if asked.energy:
        return "one run on each side, and the uncertainty of its energy is not known"
    return "one run on each side has no scatter to judge by; run cycles"


def _mean(values: Sequence[float]) -> float | None:
    return math.exp(math.fsum(map(math.log, values)) / len(values)) if values else None
