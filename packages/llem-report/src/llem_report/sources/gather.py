"""Reads all folders of a report: each study is a source, and loose experiments are one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from llem_core.config.sweep.labels import Labels
from llem_core.errors import ConfigError
from llem_core.study.summary.configurations import (
    GatheredConfiguration,
    summarise_configurations,
)

from llem_report.sources.find import find
from llem_report.sources.material import Material, Source
from llem_report.sources.run import Run, Settings, condense, load, settings_of
from llem_report.sources.study import read_study


def gather(paths: Sequence[Path]) -> Material:
    """Read what is in these folders.

    A folder that cannot be read is named in ``remarks`` where others can.

    Args:
        paths: folders of experiments and studies.

    Raises:
        ConfigError: one of them holds no results, or none of them can be read.
    """
    sources: list[Source] = []
    experiments: list[tuple[Run, Settings]] = []
    wrong: list[str] = []
    for found in find(paths):
        try:
            if found.kind == "study":
                sources.append(read_study(found.folder))
            else:
                result, version = load(found.folder)
                run = condense(result, found.folder, version=version)
                experiments.append((run, settings_of(result)))
        except ConfigError as error:
            wrong.append(str(error))
    if experiments:
        sources.append(_experiments(experiments))
    if not sources:
        raise ConfigError(" ".join(wrong))
    return Material(tuple(sources), tuple(f"Left out: {one}" for one in wrong))


def _experiments(found: Sequence[tuple[Run, Settings]]) -> Source:
    """Experiments of no study; those of one configuration on one device count as cycles of it."""
    gathered: dict[str, GatheredConfiguration] = {}
    settings: dict[str, Settings] = {}
    for run, mine in found:
        settings.setdefault(run.config_hash, mine)
    places = {run.devices for run, _ in found}
    labels = Labels(list(settings.values()))
    runs = []
    for run, mine in found:
        label = labels.of(mine) or run.model
        if len(places) > 1:
            label = f"{label}, on {', '.join(run.devices) or 'an unknown device'}"
        key = run.config_hash if len(places) == 1 else f"{run.config_hash}@{'+'.join(run.devices)}"
        one = gathered.setdefault(key, GatheredConfiguration(label))
        one.figures.append(run.figures)
        one.blocks.append((len(one.figures), ""))
        runs.append((key, run))
    configurations, _ = summarise_configurations(gathered, blocked=False)
    first = found[0][0]
    kept = tuple(_renamed(run, key) for key, run in sorted(runs, key=lambda r: r[1].started_at))
    return Source(
        kind="experiment" if len(found) == 1 else "experiments",
        name=first.folder.resolve().name if len(found) == 1 else "experiments",
        folder=first.folder,
        status="completed",
        runs=kept,
        configurations=tuple(configurations),
        settings={key: settings[run.config_hash] for key, run in runs},
    )


def _renamed(run: Run, key: str) -> Run:
    return run if run.config_hash == key else replace(run, config_hash=key)
