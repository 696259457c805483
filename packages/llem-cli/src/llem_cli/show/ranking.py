"""The table that ranks a study's configurations by energy an output token."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from llem_core.results.study import ConfigurationSummary, CycleStatistics
from llem_core.units import common_prefix

from llem_cli.show.live import displayed, one_line
from llem_cli.show.output import width
from llem_cli.show.table import rate, wrap

_INDENT = "  "
_BETWEEN = "  "
_LEAST_LABEL_COLUMNS = 24
_DIGITS = 4
_NOT_TOLD_APART = "~"


def ranking(configurations: Sequence[ConfigurationSummary]) -> list[str]:
    """The table's lines: best first, and those without energy last, in the study's order."""
    ordered = sorted(configurations, key=lambda c: math.inf if c.rank is None else c.rank)
    columns = _columns(ordered)
    cells = [list(title) for _, title in columns]
    cells = [
        [*lines, *(value(configuration) for configuration in ordered)]
        for lines, (value, _) in zip(cells, columns, strict=True)
    ]
    widths = [max(map(displayed, column)) for column in cells]
    n_title = len(columns[0][1])
    labels = [*[""] * (n_title - 1), "configuration", *(one_line(c.label) for c in ordered)]
    start = len(_INDENT) + sum(widths) + len(_BETWEEN) * len(widths)
    beside = width() - start >= _room_wanted(labels)
    lines: list[str] = []
    for label, *row in zip(labels, *cells, strict=True):
        facts = _BETWEEN.join(
            " " * (size - displayed(cell)) + cell for cell, size in zip(row, widths, strict=True)
        )
        lines += _with_label(_INDENT + facts, label, beside)
    return lines


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


_Value = Callable[[ConfigurationSummary], str]


def _columns(configurations: Sequence[ConfigurationSummary]) -> list[tuple[_Value, Sequence[str]]]:
    """What stands in each column but the last, and its title, which may take two lines."""
    energies = [c.energy_per_output_token_j for c in configurations if c.energy_per_output_token_j]
    columns: list[tuple[_Value, Sequence[str]]] = []
    if energies:
        figure = _Energy(energies)
        methods = {c.energy_method for c in configurations if c.energy_per_output_token_j}
        word = "estimated" if methods == {"estimated"} else ""
        columns += [
            (_rank, ("", "rank")),
            (lambda c: figure.mean(c.energy_per_output_token_j), (word, f"{figure.unit}/token")),
            (lambda c: figure.interval(c.energy_per_output_token_j), (word, "95 % interval")),
        ]
        if len(methods) > 1 and "estimated" in methods:
            columns.append((_method, ("", "energy")))
    columns += [(_speed, ("", "tokens/s")), (_cycles, ("", "cycles"))]
    if any(title[0] for _, title in columns):
        return columns
    return [(value, title[1:]) for value, title in columns]


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


def _room_wanted(labels: Sequence[str]) -> int:
    """Columns that what varies needs to stand beside the figures, wrapped if need be."""
    whole = max(map(displayed, labels))
    longest_word = max(displayed(word) for label in labels for word in label.split(" "))
    return min(whole, max(longest_word, _LEAST_LABEL_COLUMNS))


def _with_label(facts: str, label: str, beside: bool) -> list[str]:
    """What varies stands last, as it may be long; below, where it has too little room."""
    if not label:
        return [facts.rstrip()]
    if beside:
        return wrap(label, facts + _BETWEEN, " " * (displayed(facts) + len(_BETWEEN)))
    return [facts.rstrip(), *wrap(label, " " * 8, " " * 8)]
