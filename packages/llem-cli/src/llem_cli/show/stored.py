"""Results that are on the disk: the summary of one, and the list of all."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from llem_core.config.user import load_user_config
from llem_core.errors import ConfigError
from llem_core.files import user_path
from llem_core.results.study import StudyResult
from llem_core.results.views.block import Block, Column, Table, rate
from llem_core.results.views.study import study_blocks
from llem_core.study.reading.listing import Listed, Listing, list_results
from llem_core.study.reading.load import RESULT, STUDY_RESULT, kind_of, load_result, load_study
from llem_core.study.reading.unfinished import failures_of
from llem_core.units import format_si

from llem_cli.options import output_folder
from llem_cli.show.output import relative
from llem_cli.show.summary import files_block, summarise
from llem_cli.show.table import render

_OF_AN_EXPERIMENT = (RESULT, "requests.parquet", "timeseries.parquet", "result.csv")
_OF_A_STUDY = (STUDY_RESULT, "study.csv", "manifest.json")


def stored(path: Path | None, *, as_json: bool) -> str:
    """The summary of an experiment or a study, or the result as JSON.

    Args:
        path: its folder or its result file; the newest of the output folder if not given.
        as_json: whether to give the result itself.

    Raises:
        ConfigError: there is none, or it cannot be read.
    """
    place = _newest() if path is None else user_path(path)
    folder = place if place.is_dir() else place.parent
    is_study = kind_of(place) == "study" if place.is_dir() else place.name in _OF_A_STUDY
    if is_study:
        study = load_study(place)
        return study.model_dump_json(indent=2) if as_json else _study(study, folder)
    result = load_result(place)
    if as_json:
        return result.model_dump_json(indent=2)
    return summarise(result, _there(folder, _OF_AN_EXPERIMENT))


def _study(study: StudyResult, folder: Path) -> str:
    labels = {one.config_hash: one.label for one in study.configurations}
    blocks = study_blocks(study, failures_of(folder, labels))
    return render([*blocks, files_block(_there(folder, _OF_A_STUDY))])


def _there(folder: Path, names: tuple[str, ...]) -> list[Path]:
    return [path for name in names if (path := folder / name).exists()]


def _newest() -> Path:
    output = output_folder(None, load_user_config().output)
    found = list_results(output, 1).entries
    if not found:
        raise ConfigError(
            f"{output} holds no results; name the folder of an experiment or a study."
        )
    return found[0].folder


def listed(output: Path | None, most: int | None, *, as_json: bool) -> str:
    """The list of experiments and studies.

    Args:
        output: the folder that they lie in; the output folder if not given.
        most: how many of the newest; all if not given.
        as_json: whether to give it as JSON.

    Raises:
        ConfigError: the folder cannot be read.
    """
    output = output_folder(output, load_user_config().output)
    listing = list_results(output, most)
    if as_json:
        rows = [asdict(one) | {"folder": str(one.folder)} for one in listing.entries]
        return json.dumps(rows, indent=2, ensure_ascii=False)
    return render([_table(listing, output)])


def _table(listing: Listing, output: Path) -> Block:
    entries = listing.entries
    n_left_out = listing.n_all - len(entries)
    remark = f"{listing.n_all:,} in {relative(output)}"
    if not entries:
        return Block("Results", f"none in {relative(output)}")
    columns = [
        Column("started (UTC)", [_started(one) for one in entries]),
        Column("status", [_status(one) for one in entries]),
        Column("energy/token", [_energy(one) for one in entries]),
        Column("tokens/s", [_speed(one) for one in entries]),
    ]
    labels = [f"{_name(one)}: {one.folder.name}" for one in entries]
    block = Block("Results", remark, table=Table(columns, "what, and its folder", labels))
    if any(one.kind == "study" for one in entries):
        block.items.append("The figures of a study are those of the configuration ranked first.")
    block.items += [f"{one.folder.name} cannot be read: {one.problem}" for one in _broken(listing)]
    if n_left_out:
        block.items.append(f"{n_left_out:,} older ones are not shown; --all lists them.")
    return block


def _broken(listing: Listing) -> list[Listed]:
    return [one for one in listing.entries if one.problem is not None]


def _name(one: Listed) -> str:
    if one.problem is not None:
        return one.kind
    return f"study {one.name}" if one.kind == "study" else f"{one.name}, {one.backend}"


def _started(one: Listed) -> str:
    return "unknown" if one.started_at is None else one.started_at[:16].replace("T", " ")


def _status(one: Listed) -> str:
    if one.kind == "study" and one.problem is None:
        return f"{one.status} {one.n_completed}/{one.n_runs}"
    return one.status


def _energy(one: Listed) -> str:
    if one.energy_per_output_token_j is None:
        return "none"
    word = " estimated" if one.energy_method == "estimated" else ""
    return f"{format_si(one.energy_per_output_token_j, 'J')}{word}"


def _speed(one: Listed) -> str:
    return "none" if one.output_tokens_per_second is None else rate(one.output_tokens_per_second)
