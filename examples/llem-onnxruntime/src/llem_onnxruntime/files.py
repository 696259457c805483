"""Finds a model's files; loads nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llem_core.contracts import Workload
from llem_core.errors import BackendError

from llem_onnxruntime.config import OnnxRuntimeConfig

_GRAPHS = ("model.onnx", "onnx/model.onnx", "decoder_model_merged.onnx")


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """Where the parts of a model are.

    Attributes:
        graph: the ``.onnx`` file.
        tokenizer: its ``tokenizer.json``; ``None`` where there is none.
        settings: ``config.json``, with ``generation_config.json`` over it; may be empty.
    """

    graph: Path
    tokenizer: Path | None
    settings: dict[str, Any]

    @property
    def weights_bytes(self) -> int:
        """Size on disk: the graph and the external data beside it (bytes)."""
        beside = self.graph.parent.glob(f"{self.graph.name}[._]*")
        return sum(file.stat().st_size for file in (self.graph, *beside))

    def ids(self, name: str) -> tuple[int, ...]:
        """Token ids of a setting that may be one number, a list or missing."""
        value = self.settings.get(name)
        return tuple(value) if isinstance(value, list) else () if value is None else (value,)

    def count(self, *names: str) -> int | None:
        """The first of these settings that is a number."""
        found = (self.settings.get(name) for name in names)
        return next((value for value in found if isinstance(value, int)), None)


def find_files(workload: Workload) -> ModelFiles:
    """The files of a workload's model.

    Raises:
        BackendError: something is missing; the message says what.
    """
    section = workload.section
    assert isinstance(section, OnnxRuntimeConfig)
    graph = _graph(workload.model, section.file)
    folder = Path(workload.model).expanduser()
    folders = [graph.parent] if folder.is_file() else [folder, graph.parent]
    settings: dict[str, Any] = {}
    for name in ("config.json", "generation_config.json"):
        settings |= _json(_first(folders, name))
    return ModelFiles(graph, _tokenizer(section.tokenizer, folders), settings)


def _graph(model: str, file: str | None) -> Path:
    place = Path(model).expanduser()
    if place.is_file() and place.suffix == ".onnx":
        return place
    if not place.is_dir():
        raise BackendError(
            f"model: {model} is neither a folder nor an .onnx file; export a model first, or make "
            "a tiny one with `python -m llem_onnxruntime.tiny <folder>`"
        )
    for name in (file,) if file else _GRAPHS:
        if (place / name).is_file():
            return place / name
    raise BackendError(
        f"model: the folder {model} has no {file or ' or '.join(_GRAPHS)}; set onnxruntime.file to "
        "the graph in it"
    )


def _tokenizer(given: str | None, folders: list[Path]) -> Path | None:
    if given is None:
        return _first(folders, "tokenizer.json")
    path = Path(given).expanduser()
    if not path.is_file():
        raise BackendError(f"onnxruntime.tokenizer: there is no file {given}")
    return path


def _first(folders: list[Path], name: str) -> Path | None:
    return next((folder / name for folder in folders if (folder / name).is_file()), None)


def _json(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BackendError(f"model: {path} is not JSON ({error}); export the model anew") from error
    return value if isinstance(value, dict) else {}
