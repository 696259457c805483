"""The table of configurations, and what stands out in it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from llem_core.results.study import CycleStatistics
from llem_core.units import common_prefix, format_si

from llem_report.facts.entries import Entry
from llem_report.facts.parts import Collector, Section, Table

TIE = "≈"
_DIGITS = 4


def configurations(entries: Sequence[Entry]) -> Table:
    """All configurations with their means over cycles; each column in one unit."""
    energies = [entry.energy.mean for entry in entries if entry.energy]
    factor, prefix = common_prefix(energies)
    columns: list[tuple[str, Callable[[Entry], str]]] = [
        ("configuration", lambda entry: entry.name),
    ]
    if energies and len(entries) > 1:
        columns.append(("rank", _rank))
    if energies:
        columns.append(
            (f"{prefix}J per output token", lambda e: _with_word(e, _mean(e.energy, factor)))
        )
    if any(entry.energy and entry.energy.interval_low is not None for entry in entries):
        columns.append(("95 % interval", lambda e: _interval(e.energy, factor)))
    columns.append(("output tokens/s", lambda e: _mean(e.speed, 1.0)))
    for title, name in (
        ("first token, p50 (ms)", "time_to_first_token"),
        ("end to end, p50 (ms)", "end_to_end_latency"),
    ):
        if any(entry.latency_s(name, "p50_s") is not None for entry in entries):
            columns.append((title, _latency(name)))
    if any(entry.mean("mean_power_w") is not None for entry in entries):
        columns.append(("mean power (W)", lambda e: _with_word(e, _number(e.mean("mean_power_w")))))
    columns.append(("cycles", _cycles))
    caption = "Means over cycles"
    if len({id(entry.source) for entry in entries}) > 1:
        caption += "; the number before a name is that of its source, below"
    if any(entry.summary.indistinguishable_from_previous for entry in entries):
        caption += f"; {TIE} before a rank: cannot be told apart from the one above it"
    return Table(
        caption,
        tuple(title for title, _ in columns),
        tuple(tuple(tell(entry) for _, tell in columns) for entry in entries),
    )


def at_a_glance(entries: Sequence[Entry]) -> Section:
    """What stands out: of one run its main figures, of several which are the least and the most."""
    section = Collector("At a glance")
    with_runs = [entry for entry in entries if entry.runs]
    if len(with_runs) == 1:
        _single(section, with_runs[0])
        return section.section()
    with_energy = [entry for entry in with_runs if entry.energy]
    if with_energy:
        least = with_energy[0]
        assert least.energy is not None
        word = " (estimated)" if least.estimated else ""
        text = f"{format_si(least.energy.mean, 'J')}{word}: {least.name}"
        section.add("least energy per output token", text, "", least.energy.mean)
        ties = _tied_with_first(with_energy)
        if ties:
            section.add("not told apart from it", ", ".join(ties))
    with_speed = [(entry.speed.mean, entry) for entry in with_runs if entry.speed]
    if with_speed:
        speed, fastest = max(with_speed, key=lambda pair: pair[0])
        section.add("most output tokens/s", f"{_number(speed)}: {fastest.name}", "", speed)
    return section.section()


def _tied_with_first(entries: Sequence[Entry]) -> list[str]:
    """Those that follow the first one without a rank that can be told apart."""
    names = []
    for entry in entries[1:]:
        same = entry.source is entries[0].source
        if not (same and entry.summary.indistinguishable_from_previous):
            break
        names.append(entry.name)
    return names[:5]


def _single(section: Collector, entry: Entry) -> None:
    word = " (estimated)" if entry.estimated else ""
    if entry.energy:
        text = f"{format_si(entry.energy.mean, 'J')}{word}"
        section.add("energy per output token", text, "energy_per_output_token_j", entry.energy.mean)
    else:
        section.add("energy per output token", "not measured")
    if entry.speed:
        section.add("output tokens/s", _number(entry.speed.mean), "output_tokens_per_second")
    for label, name in (
        ("time to first token, p50", "time_to_first_token"),
        ("end to end, p50", "end_to_end_latency"),
    ):
        value = entry.latency_s(name, "p50_s")
        section.add(label, None if value is None else format_si(value, "s"), name, value)
    power = entry.mean("mean_power_w")
    section.add("mean power", None if power is None else f"{format_si(power, 'W')}{word}")


def _rank(entry: Entry) -> str:
    rank = entry.summary.rank
    if rank is None:
        return "none"
    return f"{TIE}{rank}" if entry.summary.indistinguishable_from_previous else str(rank)


def _latency(name: str) -> Callable[[Entry], str]:
    def tell(entry: Entry) -> str:
        value = entry.latency_s(name, "p50_s")
        return "none" if value is None else _number(value * 1000)

    return tell


def _with_word(entry: Entry, text: str) -> str:
    return f"{text} (estimated)" if entry.estimated and text != "none" else text


def _mean(statistics: CycleStatistics | None, factor: float) -> str:
    return "none" if statistics is None else _number(statistics.mean / factor)


def _interval(statistics: CycleStatistics | None, factor: float) -> str:
    if statistics is None or statistics.interval_low is None or statistics.interval_high is None:
        return "none"
    low, high = statistics.interval_low / factor, statistics.interval_high / factor
    return f"{_number(low)} to {_number(high)}"


def _cycles(entry: Entry) -> str:
    done, failed = entry.summary.n_completed, entry.summary.n_failed
    return f"{done} of {done + failed}" if failed else str(done)


def _number(value: float | None) -> str:
    """A number with four digits that count, and never in powers of ten where it can be read."""
    if value is None:
        return "none"
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    before = math.floor(math.log10(abs(value))) + 1
    return f"{value:,.{max(0, min(9, _DIGITS - before))}f}"
