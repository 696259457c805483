"""A study as rows and, where pandas is installed, as a data frame."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llem_core.errors import StudyError
from llem_core.files import read_file, stays_inside
from llem_core.results.migrate import migrate_experiment
from llem_core.results.views.rows import columns, row_of_content

if TYPE_CHECKING:
    from llem_core.results.study import ConfigurationSummary, CycleStatistics, StudyResult

_RUN = ("config_hash", "label", "cycle", "node", "status", "error", "result_file")
_QUANTITIES = ("energy_per_output_token_j", "energy_adjusted_j", "output_tokens_per_second")


def frame(rows: Sequence[Mapping[str, Any]]) -> Any:
    """The rows as a ``pandas.DataFrame``; where pandas is not installed, as they are."""
    try:
        pandas = importlib.import_module("pandas")
    except ImportError:
        return list(rows)
    return pandas.DataFrame(list(rows))


def run_rows(study: StudyResult, folder: Path | None) -> list[dict[str, Any]]:
    """A row a run, in execution order; settings that differ between the runs come last.

    A run without a result, and one whose file cannot be read, has its ``error`` and no figures.

    Raises:
        StudyError: it is not known where the study's files lie.
    """
    if folder is None:
        raise StudyError(
            "this StudyResult does not know its folder, where the results of its runs lie; load it "
            "with load_study(folder)."
        )
    labels = {one.config_hash: one.label for one in study.configurations}
    rows, settings = [], []
    for entry in _entries(study, folder):
        content, error = _content(folder, entry)
        told = dict.fromkeys(_RUN) | {key: entry.get(key) for key in _RUN if key in entry}
        told["label"] = labels.get(str(entry.get("config_hash")))
        told["error"] = entry.get("error") or error
        rows.append({**told, **row_of_content(content)})
        settings.append(dict(flat_settings(content.get("effective_config"))))
    varied = _varied(settings, taken={*_RUN, *(column for column, _, _ in columns())})
    return [
        {**row, **{path: one.get(path) for path in varied}}
        for row, one in zip(rows, settings, strict=True)
    ]


def configuration_rows(study: StudyResult) -> list[dict[str, Any]]:
    """A row a configuration: statistics over its cycles, in the order of the file."""
    return [_configuration(one) for one in study.configurations]


def _configuration(one: ConfigurationSummary) -> dict[str, Any]:
    row: dict[str, Any] = {
        name: getattr(one, name)
        for name in ("config_hash", "label", "rank", "n_completed", "n_failed", "energy_method")
    }
    row["indistinguishable_from_previous"] = one.indistinguishable_from_previous
    for quantity in _QUANTITIES:
        statistics: CycleStatistics | None = getattr(one, quantity)
        row[f"{quantity}_n"] = statistics.n if statistics else 0
        for part in ("mean", "standard_deviation", "interval_low", "interval_high"):
            row[_named(quantity, part)] = getattr(statistics, part, None)
    for name, statistics in one.load or ():
        if hasattr(statistics, "mean"):
            row[f"load_{_named(name, 'mean')}"] = statistics.mean
    return row


def _named(quantity: str, part: str) -> str:
    """The unit stays last: ``energy_adjusted_mean_j``."""
    for unit in ("_j", "_s", "_w"):
        if quantity.endswith(unit):
            return f"{quantity.removesuffix(unit)}_{part}{unit}"
    return f"{quantity}_{part}"


def _entries(study: StudyResult, folder: Path) -> list[Mapping[str, Any]]:
    """The runs as the manifest has them; without one, the results that the study names."""
    try:
        entries = json.loads(read_file(folder / "manifest.json"))["experiments"]
        return [entry for entry in entries if entry["status"] != "skipped"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return [{"result_file": file, "status": "completed"} for file in study.result_files]


def _content(folder: Path, entry: Mapping[str, Any]) -> tuple[dict[str, Any], str | None]:
    """What the run's ``result.json`` holds, and why it holds nothing."""
    file = entry.get("result_file")
    if not isinstance(file, str):
        return {}, None
    if not stays_inside(file):
        return {}, f"{file} is no file of this study"
    try:
        content = migrate_experiment(json.loads(read_file(folder / file)))
    except (OSError, ValueError, RecursionError) as error:
        return {}, f"{file} cannot be read: {error}"
    return (content, None) if isinstance(content, dict) else ({}, f"{file} is damaged")


def _varied(settings: Sequence[Mapping[str, Any]], taken: set[str]) -> list[str]:
    """Paths of the settings that are not the same in all runs with a result."""
    known = [one for one in settings if one]
    paths = dict.fromkeys(path for one in known for path in one)
    return [
        path
        for path in paths
        if path not in taken and len({repr(one.get(path)) for one in known}) > 1
    ]


def flat_settings(effective_config: Any) -> Iterator[tuple[str, Any]]:
    """Each setting of a result by its dotted path; what the engine chose itself is none."""
    if isinstance(effective_config, Mapping):
        chosen = {name: one for name, one in effective_config.items() if name != "effective"}
        yield from _flat(chosen, "")


def _flat(value: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, inner in value.items():
        if isinstance(inner, Mapping) and inner:
            yield from _flat(inner, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", inner
