"""Prompts from a data set of the Hugging Face hub; needs the extra ``llem-core[datasets]``."""

from __future__ import annotations

import contextlib
import importlib.util
import socket
import urllib.parse
import urllib.request
from collections.abc import Iterator
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
        with _offline_if_unreachable():
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


_PATIENCE_S = 5.0


@contextlib.contextmanager
def _offline_if_unreachable() -> Iterator[None]:
    """Within the block the libraries use their cache alone if nobody answers at the hub's address.

    They would ask again and again, for half a minute and more.
    """
    import datasets
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE
    if not any(before) and not _is_reachable(constants.ENDPOINT):
        constants.HF_HUB_OFFLINE = datasets.config.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE = before


def _is_reachable(address: str) -> bool:
    url = urllib.parse.urlsplit(address)
    if urllib.request.getproxies():
        return True  # for the proxy to say
    try:
        port = url.port or (80 if url.scheme == "http" else 443)
        socket.create_connection((url.hostname or "", port), _PATIENCE_S).close()
    except (OSError, ValueError):
        return False
    return True


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
