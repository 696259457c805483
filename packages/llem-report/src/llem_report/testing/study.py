"""A made-up study on disk, in the state that is asked for."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from llem_core.contracts.sink import FinishedExperiment
from llem_core.results.study import MeasurementProtocol, StudyResult, StudySummary
from llem_core.sinks.raw_data import write_raw_data
from llem_core.study.record.manifest import ManifestEntry, StudyManifest
from llem_core.study.summary.configurations import (
    GatheredConfiguration,
    summarise_configurations,
)
from llem_core.study.summary.figures import figures_of

from llem_report.testing.experiment import finished
from llem_report.testing.parts import Made

State = Literal["completed", "running", "interrupted", "failed"]
_DESIGN = "0123456789abcdef"
_LABEL_KEYS = 5


@dataclass(frozen=True, slots=True)
class MadeStudy:
    """What a made-up study shall be like.

    Attributes:
        name: of the study.
        configurations: what is swept, each with its own energy and speed.
        n_cycles: repetitions.
        state: how it stands; of a ``running`` one half of the runs are done, of a ``failed`` one
            none has a result.
        nodes: where its cycles are, in turn; empty for one machine.
        labels: names of the configurations; what they set where there are none.
    """

    name: str
    configurations: Sequence[Made]
    n_cycles: int = 3
    state: State = "completed"
    nodes: Sequence[str] = ()
    labels: Sequence[str] = ()

    def runs(self) -> list[tuple[int, int]]:
        """Configuration and cycle of each run, in execution order."""
        return [
            (c, n) for n in range(1, self.n_cycles + 1) for c in range(len(self.configurations))
        ]


def sweep(axes: Mapping[str, Sequence[Any]], template: Made | None = None) -> list[Made]:
    """Configurations of a sweep; the more runs together, the less energy a token takes.

    Args:
        axes: dotted path of each setting to its values.
        template: what all have.
    """
    made = template or Made()
    found = []
    for values in itertools.product(*axes.values()):
        settings = dict(zip(axes, values, strict=True))
        batch = float(settings.get("pytorch.batch_size", settings.get("load.concurrency", 8)))
        slow = 1.9 if settings.get("precision") == "fp32" else 1.0
        longer = 1 + float(settings.get("max_output_tokens", 128)) / 2000
        found.append(
            replace(
                made,
                settings=settings,
                tokens_per_second=90 * batch**0.8 / slow,
                power_w=(180 + 70 * batch**0.35) * longer,
            )
        )
    return found


def write_experiment(made: Made, folder: Path) -> FinishedExperiment:
    """Write one experiment into a new folder."""
    folder.mkdir(parents=True)
    done = finished(made)
    write_raw_data(done, folder)
    (folder / "result.json").write_text(done.result.model_dump_json(indent=1))
    return done


def write_study(study: MadeStudy, folder: Path, *, raw_of: int | None = None) -> Path:
    """Write a study into a new folder.

    Args:
        study: the study.
        folder: where; it must not exist.
        raw_of: how many configurations have requests and samples of their own; all others have
            copies of them, as these files take longest to write.

    Returns:
        The folder.
    """
    folder.mkdir(parents=True)
    entries: list[ManifestEntry] = []
    gathered: dict[str, GatheredConfiguration] = {}
    files: list[str] = []
    runs = study.runs()
    done = {"completed": len(runs), "failed": 0}.get(study.state, len(runs) // 2)
    for position, (number, cycle) in enumerate(runs, start=1):
        made = study.configurations[number]
        node = study.nodes[(cycle - 1) % len(study.nodes)] if study.nodes else None
        hash_ = made.config_hash
        one = gathered.setdefault(hash_, GatheredConfiguration(_label(study, number)))
        name = f"{position:05d}_{hash_}_c{cycle}"
        file = f"{name}/result.json" if position <= done else None
        if file is not None:
            shift = 1 + 0.02 * (study.nodes.index(node) if node else 0)
            mine = replace(made, factor=shift, seed=position)
            result = finished_into(mine, folder / name, _raw(folder, number, raw_of))
            one.figures.append(figures_of(result))
            one.blocks.append((cycle, node or ""))
            files.append(file)
        entries.append(_entry(study, hash_, cycle, file, node, under_way=position == done + 1))
        one.n_failed += entries[-1].status == "failed"
    manifest = StudyManifest(
        study_name=study.name,
        study_design_hash=_DESIGN,
        status=study.state,
        started_at="2026-01-05T10:00:00Z",
        experiments=entries,
    )
    named = {made.config_hash: _label(study, n) for n, made in enumerate(study.configurations)}
    (folder / "design.json").write_text(json.dumps({"labels": named}))
    (folder / "manifest.json").write_text(manifest.model_dump_json())
    if study.state in {"completed", "failed"}:
        result_ = _result(study, gathered, files)
        (folder / "study_result.json").write_text(result_.model_dump_json(indent=1))
    return folder


def finished_into(made: Made, folder: Path, raw: Path | None) -> Any:
    """Write a run, its raw data anew or copied; gives its result."""
    folder.mkdir()
    done = finished(made if raw is None else replace(made, sample_s=made.window_s))
    if raw is None:
        write_raw_data(done, folder)
    else:
        for name in ("requests.parquet", "timeseries.parquet"):
            shutil.copyfile(raw / name, folder / name)
    (folder / "result.json").write_text(done.result.model_dump_json(indent=1))
    return done.result


def _raw(folder: Path, number: int, raw_of: int | None) -> Path | None:
    """Where to copy raw data from: the run of a configuration that has its own."""
    if raw_of is None or number < raw_of:
        return None
    return sorted(folder.glob("*_c1"))[number % raw_of]


def _label(study: MadeStudy, number: int) -> str:
    if study.labels:
        return study.labels[number]
    settings = study.configurations[number].settings
    return ", ".join(f"{path}={value}" for path, value in list(settings.items())[:_LABEL_KEYS])


def _entry(
    study: MadeStudy,
    config_hash: str,
    cycle: int,
    file: str | None,
    node: str | None,
    *,
    under_way: bool,
) -> ManifestEntry:
    entry = ManifestEntry(config_hash=config_hash, cycle=cycle, node=node)
    if file is not None:
        return entry.model_copy(update={"status": "completed", "result_file": file, "attempt": 1})
    if study.state == "failed":
        error = "OutOfMemoryError: the card has 80 GiB and 93 GiB were asked for"
        return entry.model_copy(update={"status": "failed", "error": error, "attempt": 1})
    status = {"running": "running", "interrupted": "interrupted"}.get(study.state, "pending")
    return entry.model_copy(update={"status": status if under_way else "pending"})


def _result(
    study: MadeStudy, gathered: Mapping[str, GatheredConfiguration], files: Sequence[str]
) -> StudyResult:
    configurations, nodes = summarise_configurations(gathered, blocked=bool(study.nodes))
    figures = [each for one in gathered.values() for each in one.figures]
    energies = list(_known(each.energy_total_j for each in figures))
    n_runs = len(study.runs())
    return StudyResult(
        study_name=study.name,
        study_design_hash=_DESIGN,
        status="failed" if study.state == "failed" else "completed",
        started_at="2026-01-05T10:00:00Z",
        finished_at="2026-01-05T18:00:00Z",
        measurement_protocol=MeasurementProtocol(
            n_cycles=study.n_cycles,
            cycle_order="shuffled",
            shuffle_seed=_DESIGN,
            config_gap_seconds=60.0,
            cycle_gap_seconds=300.0,
            experiment_timeout_seconds=7200.0,
            process_isolation="made up",
            interval="made up",
            comparison="made up",
            block="node" if study.nodes else None,
        ),
        result_files=list(files),
        summary=StudySummary(
            n_generated=len(study.configurations),
            n_configurations=len(study.configurations),
            n_skipped=0,
            n_cycles=study.n_cycles,
            n_runs=n_runs,
            n_completed=len(files),
            n_failed=n_runs - len(files),
            n_not_run=0,
            energy_total_j=sum(energies) if energies else None,
            energy_estimated=any(each.energy_method == "estimated" for each in figures),
            duration_measured_s=sum(each.duration_s for each in figures),
            duration_total_s=8 * 3600.0,
        ),
        configurations=configurations,
        nodes=nodes,
        skipped=[],
        merged=[],
        warnings=[],
    )


def _known(values: Any) -> Iterator[float]:
    return (value for value in values if value is not None)
