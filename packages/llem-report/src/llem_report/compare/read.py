"""Reads a side of a comparison from a folder or a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from llem_core.errors import ConfigError, StudyError
from llem_core.files import read_file, stays_inside, user_path
from llem_core.results.experiment import ExperimentResult
from llem_core.study.reading.load import RESULT, kind_of, load_result, load_study
from llem_core.study.record.manifest import load_manifest

from llem_report.compare.baseline import read_baseline
from llem_report.compare.metrics import figures_of
from llem_report.compare.side import Configuration, Sample, Side, facts_of


def read_side(path: Path) -> Side:
    """Read a side.

    Args:
        path: folder of an experiment or a study, a result file in it, or a baseline file.

    Raises:
        ConfigError: there are no results, or they cannot be read.
    """
    place = user_path(path)
    if place.is_file() and (baseline := _baseline(place)) is not None:
        return baseline
    folder = place if place.is_dir() else place.parent
    is_study = kind_of(place) == "study" if place.is_dir() else place.name != RESULT
    if is_study:
        return _study(place, folder)
    result = load_result(place)
    one = Configuration(
        result.measurement_config_hash, result.model, facts_of(result), [_sample(result)]
    )
    return Side(result.model, str(path), None, [one])


def _baseline(file: Path) -> Side | None:
    """The baseline in a file; ``None`` where the file is another one."""
    try:
        content = json.loads(read_file(file))
    except (OSError, ValueError, RecursionError):
        return None  # load_result and load_study say what is wrong with it
    return read_baseline(content, file) if "llem_baseline" in content else None


def _study(place: Path, folder: Path) -> Side:
    study = load_study(place)
    remarks = [study.warnings[0]] if study.status in {"running", "interrupted"} else []
    labels = {one.config_hash: one.label for one in study.configurations}
    gathered: dict[str, Configuration] = {}
    for file, (cycle, node) in _places(folder, study.result_files).items():
        try:
            result = load_result(folder / file)
        except ConfigError as error:
            remarks.append(f"Left out: {error}")
            continue
        _add(gathered, result, labels, (cycle, node))
    if not gathered:
        why = " ".join(remarks[-1:])
        raise ConfigError(
            f"{place} has no run with a result, so there is nothing to compare. {why}".rstrip()
        )
    for one in gathered.values():
        one.samples.sort(key=lambda sample: sample.cycle or 0)
    ordered = [gathered[name] for name in labels if name in gathered]
    ordered += [one for name, one in gathered.items() if name not in labels]
    return Side(study.study_name, str(place), study.study_design_hash, ordered, remarks)


def _add(
    gathered: dict[str, Configuration],
    result: ExperimentResult,
    labels: Mapping[str, str],
    place: tuple[int | None, str | None],
) -> None:
    name, facts = result.measurement_config_hash, facts_of(result)
    found = gathered.setdefault(
        name, Configuration(name, labels.get(name) or result.model, facts, [])
    )
    if facts not in found.all_facts:
        found.others.append(facts)
    found.samples.append(_sample(result, *place))


def _places(folder: Path, files: list[str]) -> dict[str, tuple[int | None, str | None]]:
    """Cycle and node of each result file; the files must lie within the study's folder."""
    try:
        entries = {e.result_file: (e.cycle, e.node) for e in load_manifest(folder).runs()}
    except StudyError:
        entries = {}
    return {file: entries.get(file, (None, None)) for file in files if stays_inside(file)}


def _sample(result: ExperimentResult, cycle: int | None = None, node: str | None = None) -> Sample:
    relative = {}
    budget = result.uncertainty
    if budget is not None:
        for name, energy_j, expanded_j in (
            ("total", result.energy_total_j, budget.comparison_j),
            ("adjusted", result.energy_adjusted_j, budget.adjusted_comparison_j),
        ):
            if energy_j and expanded_j is not None:
                relative[name] = abs(expanded_j / budget.coverage_factor / energy_j)
    return Sample(cycle, node, figures_of(result), relative)
