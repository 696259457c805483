"""What stands against a comparison, and what has only to be said beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from llem_report.compare.metrics import Metric
from llem_report.compare.side import Configuration, Facts

_MOST = 6
_PROTOCOL = ("energy.", "warmup.", "baseline.")


@dataclass(frozen=True, slots=True)
class Pair:
    """A configuration of each side, to be compared."""

    before: Configuration
    after: Configuration

    @property
    def label(self) -> str:
        """What tells it from the others."""
        return self.after.label


def objections(pairs: Iterable[Pair], metrics: Iterable[Metric]) -> list[str]:
    """Why the difference would not be that of what was changed; each reason once."""
    asked = list(metrics)
    found = (reason for pair in pairs for reason in _objections(pair, asked))
    return list(dict.fromkeys(found))


def remarks(pairs: Iterable[Pair]) -> list[str]:
    """Differences that may well be what is compared; each sentence once."""
    return list(dict.fromkeys(told for pair in pairs for told in _remarks(pair)))


def _objections(pair: Pair, metrics: list[Metric]) -> Iterator[str]:
    before, after = pair.before.facts, pair.after.facts
    if changed := _changes(before.workload, after.workload):
        yield f"the workloads differ ({changed})"
    devices = [_devices(side) for side in (pair.before, pair.after)]
    if devices[0] != devices[1]:
        yield f"the devices differ ({_names(devices[0])} → {_names(devices[1])})"
    hosts = [
        {tuple(facts.host.items()) for facts in side.all_facts}
        for side in (pair.before, pair.after)
    ]
    if hosts[0] != hosts[1]:
        yield f"the hosts differ ({_changes(before.host, after.host) or 'other nodes'})"
    if any(one.energy for one in metrics):
        yield from _of_energy(pair)


def _of_energy(pair: Pair) -> Iterator[str]:
    facts = [*pair.before.all_facts, *pair.after.all_facts]
    if any(one.energy_method == "estimated" for one in facts):
        yield "energies are estimates: their difference is that of a model of the hardware"
    before, after = pair.before.facts, pair.after.facts
    if before.scope != after.scope and before.energy_method and after.energy_method:
        yield (
            f"the energies are of different domains ({_names(before.scope)} → "
            f"{_names(after.scope)})"
        )


def _remarks(pair: Pair) -> Iterator[str]:
    before, after = pair.before.facts, pair.after.facts
    settings = {side: _deployment(facts) for side, facts in (("a", before), ("b", after))}
    if changed := _changes(settings["a"], settings["b"]):
        yield f"Settings differ: {changed}."
    protocols = {side: _protocol(facts) for side, facts in (("a", before), ("b", after))}
    if changed := _changes(protocols["a"], protocols["b"]):
        yield f"The way of measuring differs: {changed}."
    if before.energy_source != after.energy_source:
        yield f"Samplers differ: {before.energy_source} → {after.energy_source}."
    if changed := _changes(before.software, after.software):
        yield f"Software differs: {changed}."
    if before.random_weights or after.random_weights:
        yield "Weights are random: speed and energy are those of the shape, answers mean nothing."


def _deployment(facts: Facts) -> dict[str, str]:
    return {k: v for k, v in facts.settings.items() if not k.startswith(_PROTOCOL)}


def _protocol(facts: Facts) -> dict[str, str]:
    return {k: v for k, v in facts.settings.items() if k.startswith(_PROTOCOL)}


def _changes(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """What is not the same, such as ``n: 10 → 20``; empty where nothing is."""
    paths = [path for path in {**before, **after} if before.get(path) != after.get(path)]
    told = [
        f"{path}: {before.get(path, 'not set')} → {after.get(path, 'not set')}"
        for path in paths[:_MOST]
    ]
    more = f"; and {len(paths) - _MOST} more" if len(paths) > _MOST else ""
    return "; ".join(told) + more


def _devices(side: Configuration) -> set[str]:
    return {device for facts in side.all_facts for device in facts.devices}


def _names(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "unknown"
