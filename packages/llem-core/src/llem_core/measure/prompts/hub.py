"""Prompts from a data set of the Hugging Face hub; needs the extra ``llem-core[datasets]``."""

from __future__ import annotations

import importlib.util
from typing import Any

from llem_core.config.dataset import HUB_PREFIX, DatasetConfig
from llem_core.errors import ConfigError, PreFlightError

_COLUMNS = ("prompt", "text", "instruction", "question")


def hub_prompts(dataset: DatasetConfig, n: int) -> list[str]:
    """The first ``n`` prompts, or all if there are fewer.

    Raises:
        ConfigError: the extra is not installed, or the data set has no such column.
        PreFlightError: it cannot be had: no network, or no such data set.
    """
    if importlib.util.find_spec("datasets") is None:
        raise ConfigError(
            f"dataset {dataset.source!r} needs the datasets library; "
            "run `pip install 'llem-core[datasets]'`."
        )
    import datasets

    repository, _, revision = dataset.source.removeprefix(HUB_PREFIX).partition("@")
    datasets.disable_progress_bars()
    try:
        rows = datasets.load_dataset(
            repository,
            name=dataset.subset,
            split=dataset.split or "train",
            revision=revision or None,
        )
    # The library raises many kinds, network errors of its own dependencies among them.
    except Exception as error:
        first_line = str(error).strip().splitlines()[0] if str(error).strip() else ""
        raise PreFlightError(
            f"dataset {dataset.source!r} cannot be loaded ({type(error).__name__}: {first_line}); "
            "check its name and the network, or use a local JSONL file."
        ) from error
    column = _column(dataset, rows)
    return [str(row[column]) for row in rows.select(range(min(n, len(rows))))]


def _column(dataset: DatasetConfig, rows: Any) -> str:
    names: list[str] = list(rows.column_names)
    wanted = [dataset.column] if dataset.column else list(_COLUMNS)
    for name in wanted:
        if name in names:
            return name
    raise ConfigError(
        f"dataset {dataset.source!r} has no column {' or '.join(map(repr, wanted))}; "
        f"set dataset.column to one of {', '.join(names)}."
    )
