"""The configurations of all sources in one list, each with a name of its own."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from llem_core.results.study import ConfigurationSummary, CycleStatistics

from llem_report.sources.material import Material, Source
from llem_report.sources.run import Run, Settings


@dataclass(frozen=True, slots=True)
class Entry:
    """One configuration of one source.

    Attributes:
        name: what it is called in this report, unlike all others; with several sources the
            number of its own stands before it.
        source: where it belongs.
        summary: its statistics over cycles.
        runs: those with a result.
    """

    name: str
    source: Source
    summary: ConfigurationSummary
    runs: Sequence[Run]

    @property
    def energy(self) -> CycleStatistics | None:
        """Gross energy per output token over cycles (J)."""
        return self.summary.energy_per_output_token_j

    @property
    def speed(self) -> CycleStatistics | None:
        """Output tokens/s over cycles."""
        return self.summary.output_tokens_per_second

    @property
    def estimated(self) -> bool:
        """Whether its energy is an estimate."""
        return self.summary.energy_method == "estimated"

    @property
    def settings(self) -> Settings:
        """Every setting by its dotted path."""
        return self.source.settings.get(self.summary.config_hash, {})

    def latency_s(self, name: str, quantile: str) -> float | None:
        """Mean over cycles of one quantile, such as ``p50_s``, of one latency (s)."""
        values = [
            getattr(run.latencies[name], quantile) for run in self.runs if name in run.latencies
        ]
        return statistics.fmean(values) if values else None

    def mean(self, quantity: str) -> float | None:
        """Mean over cycles of a figure of ``Run``; ``None`` where no cycle has it."""
        values = [getattr(run, quantity) for run in self.runs]
        known = [value for value in values if value is not None]
        return statistics.fmean(known) if known else None


def entries(material: Material) -> list[Entry]:
    """All configurations, the least energy per output token first, those without energy last."""
    several = len(material.sources) > 1
    found: list[Entry] = []
    taken: set[str] = set()
    for number, source in enumerate(material.sources, start=1):
        runs: dict[str, list[Run]] = {}
        for run in source.runs:
            runs.setdefault(run.config_hash, []).append(run)
        short = shortened([one.label for one in source.configurations])
        for summary, label in zip(source.configurations, short, strict=True):
            name = f"{number}: {label}" if several else label
            if name in taken:
                name = f"{name} ({summary.config_hash})"
            taken.add(name)
            found.append(Entry(name, source, summary, runs.get(summary.config_hash, ())))
    return sorted(found, key=_place)


def _place(entry: Entry) -> tuple[bool, float]:
    energy = entry.energy
    return energy is None, energy.mean if energy else 0.0


_SECTION = re.compile(r"(?:(?<=^)|(?<=, ))[\w-]+\.(?=[\w.-]+=)")


def shortened(labels: Sequence[str]) -> list[str]:
    """Labels such as ``batch_size=8`` without the section before a key, where none is lost.

    A section stays where the same key stands in two sections.
    """
    short = [_SECTION.sub("", label) for label in labels]
    keys: dict[str, set[str]] = {}
    for label in labels:
        for path in _paths(label):
            keys.setdefault(path.rpartition(".")[2], set()).add(path)
    unclear = any(len(paths) > 1 for paths in keys.values())
    return list(labels) if unclear or len(set(short)) < len(set(labels)) else short


def _paths(label: str) -> Iterable[str]:
    return (part.partition("=")[0] for part in label.split(", ") if "=" in part)
