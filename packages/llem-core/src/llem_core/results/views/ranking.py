"""The table that ranks a study's configurations by energy an output token."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from llem_core.results.views.block import Column, Table, rate
from llem_core.units import common_prefix

if TYPE_CHECKING:
    from llem_core.results.study import ConfigurationSummary, CycleStatistics

_DIGITS = 4
_NOT_TOLD_APART = "~"


def ranking(configurations: Sequence[ConfigurationSummary]) -> Table:
    """The table: best first, and those without energy last, in the study's order."""
    ordered = sorted(configurations, key=lambda c: math.inf if c.rank is None else c.rank)
    columns: list[Column] = []

    def add(title: str, value: Callable[[ConfigurationSummary], str], above: str = "") -> None:
        columns.append(Column(title, [value(one) for one in ordered], above))

    energies = [c.energy_per_output_token_j for c in ordered if c.energy_per_output_token_j]
    if energies:
        figure = _Energy(energies)
        methods = {c.energy_method for c in ordered if c.energy_per_output_token_j}
        word = "estimated" if methods == {"estimated"} else ""
        add("rank", _rank)
        add(f"{figure.unit}/token", lambda c: figure.mean(c.energy_per_output_token_j), word)
        add("95 % interval", lambda c: figure.interval(c.energy_per_output_token_j), word)
        if len(methods) > 1 and "estimated" in methods:
            add("energy", _method)
    add("tokens/s", _speed)
    add("cycles", _cycles)
    return Table(columns, "configuration", [one.label for one in ordered])


def told_apart(
    configurations: Sequence[ConfigurationSummary], *, blocked: bool = False
) -> list[str]:
    """Sentences on which ranks the study can and cannot tell apart.

    Args:
        configurations: all of the study.
        blocked: whether each cycle was kept on one node, so that they are compared within cycles.
    """
    test = "paired t-test within cycles" if blocked else "Welch's t-test"
    ranked = [c for c in configurations if c.rank is not None]
    later = [c for c in ranked if c.rank != 1]
    sentences = []
    estimated = any(c.energy_method == "estimated" for c in ranked)
    if estimated and later:
        sentences.append(
            "Energies are estimates from a model of the hardware: their order and their intervals "
            "are the model's, and no ground for a comparison."
        )
    if any(c.indistinguishable_from_previous for c in later):
        sentences.append(
            f"{_NOT_TOLD_APART} cannot be told apart from the rank above it ({test}, 95 %); more "
            "cycles may tell them apart."
        )
    elif later and not estimated and all(c.indistinguishable_from_previous is False for c in later):
        sentences.append(f"Each rank can be told apart from the one above it ({test}, 95 %).")
    if any(c.indistinguishable_from_previous is None for c in later):
        sentences.append(
            "A configuration with one cycle has no interval, so whether it differs from the rank "
            "above it cannot be said; --cycles 3 or more gives one."
        )
    elif not later and any(_single(c.energy_per_output_token_j) for c in ranked):
        sentences.append("One cycle has no interval; --cycles 3 or more gives one.")
    return sentences


class _Energy:
    """Writes energies of several configurations in one unit and with the same decimals."""

    def __init__(self, energies: Sequence[CycleStatistics]) -> None:
        means_j = [energy.mean for energy in energies]
        self._factor, prefix = common_prefix(means_j)
        smallest = min((abs(m) for m in means_j if m), default=1.0) / self._factor
        self._decimals = max(0, _DIGITS - 1 - math.floor(math.log10(smallest)))
        self.unit = f"{prefix}J"

    def mean(self, energy: CycleStatistics | None) -> str:
        return "none" if energy is None else self._write(energy.mean)

    def interval(self, energy: CycleStatistics | None) -> str:
        if energy is None or energy.interval_low is None or energy.interval_high is None:
            return "none"
        return f"{self._write(energy.interval_low)} to {self._write(energy.interval_high)}"

    def _write(self, energy_j: float) -> str:
        return f"{energy_j / self._factor:,.{self._decimals}f}"


def _rank(configuration: ConfigurationSummary) -> str:
    if configuration.rank is None:
        return "none"
    mark = _NOT_TOLD_APART if configuration.indistinguishable_from_previous else ""
    return f"{mark}{configuration.rank}"


def _method(configuration: ConfigurationSummary) -> str:
    if configuration.energy_method is None:
        return "none"
    return "estimated" if configuration.energy_method == "estimated" else "measured"


def _speed(configuration: ConfigurationSummary) -> str:
    speed = configuration.output_tokens_per_second
    return "none" if speed is None else rate(speed.mean)


def _cycles(configuration: ConfigurationSummary) -> str:
    done, failed = configuration.n_completed, configuration.n_failed
    return f"{done} of {done + failed}" if failed else str(done)


def _single(energy: CycleStatistics | None) -> bool:
    return energy is not None and energy.interval_low is None
