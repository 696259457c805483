"""A gate against regressions of energy or speed, that knows what its figures can tell.

A quantity is measured several times and compared with a baseline from the same machine. The
gate fails where the loss is beyond what is allowed *and* beyond what chance explains: the
allowed loss is widened by a 95 % t-interval of the difference, from the scatter of the repeats
and the stated uncertainty of the meter. Where that interval is wider than the allowed loss, the
gate says that it cannot see so small a loss: take more repeats, or longer ones.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

from llem_core.contracts import write_atomically
from llenergymeasure import ExperimentResult

Quantity = Literal["energy_per_output_token_j", "output_tokens_per_second"]
State = Literal["passed", "failed", "no baseline", "cannot compare", "not measured"]

# Two-sided 95 % quantiles of Student's t by degrees of freedom; beyond them the last is on the
# safe side.
_T95 = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23)
COVERAGE_FACTOR = 2.0
"""Of a result's uncertainties: they are 95 % intervals, of two standard uncertainties or more."""
_UNIT = {"energy_per_output_token_j": "J", "output_tokens_per_second": "1/s"}
_LESS_IS_BETTER = frozenset({"energy_per_output_token_j"})


@dataclass(frozen=True, slots=True)
class Figure:
    """One quantity over several repeats.

    Attributes:
        mean: its mean, in the unit of its name.
        standard_error: standard uncertainty of the mean: scatter and meter together.
        n: repeats.
        setting: what has to be the same for two figures to be compared.
    """

    mean: float
    standard_error: float
    n: int
    setting: dict[str, Any]

    @classmethod
    def of(cls, results: Sequence[ExperimentResult], quantity: Quantity) -> Self | None:
        """The figure of some repeats, two at least; ``None`` where one has no such value."""
        values = [getattr(result, quantity) for result in results]
        if len(values) < 2 or any(value is None for value in values):
            return None
        meter = [_meter_uncertainty(result, quantity) for result in results]
        variance = statistics.variance(values) + statistics.fmean(u * u for u in meter)
        error = math.sqrt(variance / len(values))
        return cls(statistics.fmean(values), error, len(values), _setting(results[0], quantity))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate says.

    Attributes:
        state: ``passed`` and ``failed`` are verdicts; the others say why there is none.
        message: one sentence for a person.
    """

    state: State
    message: str

    @property
    def given(self) -> bool:
        """Whether it is a verdict at all."""
        return self.state in {"passed", "failed"}


def judge(
    results: Sequence[ExperimentResult],
    quantity: Quantity,
    baseline: Path,
    *,
    allowed_loss: float = 0.05,
) -> Verdict:
    """Compare repeats of one experiment with the baseline.

    Args:
        results: the repeats, two at least; five or more are advised.
        quantity: what is compared.
        baseline: file that ``record`` wrote.
        allowed_loss: how much worse than the baseline is still fine, as a share of it.
    """
    now = Figure.of(results, quantity)
    if now is None:
        reason = results[0].unavailable.get(quantity, "two repeats are needed")
        return Verdict("not measured", f"{quantity} was not measured: {reason}")
    before = _load(baseline).get(quantity)
    if before is None:
        return Verdict("no baseline", f"{baseline} has no {quantity}; record one on this machine")
    other = sorted(k for k in now.setting if now.setting[k] != before.setting.get(k))
    if other:
        return Verdict(
            "cannot compare",
            f"{baseline} was recorded with another {', '.join(other)}; record one here",
        )
    return _compare(now, before, quantity, allowed_loss)


def record(results: Sequence[ExperimentResult], baseline: Path) -> list[str]:
    """Write the figures of these repeats as the baseline.

    Returns:
        The quantities that were written.
    """
    figures = {name: figure for name in _UNIT if (figure := Figure.of(results, name))}  # type: ignore[arg-type]
    known = {**_load(baseline), **figures}
    text = json.dumps({name: asdict(figure) for name, figure in known.items()}, indent=2)
    write_atomically(baseline, f"{text}\n".encode())
    return sorted(figures)


def _compare(now: Figure, before: Figure, quantity: Quantity, allowed: float) -> Verdict:
    change = now.mean - before.mean if quantity in _LESS_IS_BETTER else before.mean - now.mean
    loss = change / before.mean
    spread = math.hypot(now.standard_error, before.standard_error) / before.mean
    interval = _T95[min(now.n, before.n, len(_T95) + 1) - 2] * spread
    told = (
        f"{quantity} is {now.mean:.4g} {_UNIT[quantity]}, the baseline {before.mean:.4g}: "
        f"{'worse' if loss > 0 else 'better'} by {abs(loss):.1%} ± {interval:.1%}, "
        f"{allowed:.1%} allowed"
    )
    if interval > allowed:
        told += "; the repeats cannot tell so small a loss from chance"
    return Verdict("failed" if loss > allowed + interval else "passed", told)


def _meter_uncertainty(result: ExperimentResult, quantity: Quantity) -> float:
    """Standard uncertainty of one repeat, by what its meter states."""
    expanded_j = result.energy_uncertainty_comparison_j
    if quantity not in _LESS_IS_BETTER or expanded_j is None:
        return 0.0
    return expanded_j / COVERAGE_FACTOR / result.output_tokens


def _setting(result: ExperimentResult, quantity: Quantity) -> dict[str, Any]:
    environment = result.environment_snapshot
    setting: dict[str, Any] = {
        "configuration": result.measurement_config_hash,
        "processor": environment.cpu.model,
        "cores": environment.cpu.usable_cores,
        "gpus": [gpu.name for gpu in environment.gpus],
    }
    if quantity in _LESS_IS_BETTER:
        setting |= {"meter": result.energy_source, "domains": sorted(result.energy_scope)}
    return setting


def _load(baseline: Path) -> dict[str, Figure]:
    if not baseline.exists():
        return {}
    found = json.loads(baseline.read_text(encoding="utf-8"))
    return {name: Figure(**fields) for name, fields in found.items()}
