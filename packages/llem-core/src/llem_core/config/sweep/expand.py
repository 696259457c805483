"""Expands a study into its experiments: pure, from mappings to models."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from pydantic import ValidationError

from llem_core.config.errors import KeyedConfigError, describe
from llem_core.config.experiment import ExperimentConfig
from llem_core.config.layers import STUDY_KEYS, Layer
from llem_core.config.sections import DEFAULT_BACKEND, hint_at
from llem_core.config.study import SkippedConfig
from llem_core.config.sweep.grammar import Grid, count, known_roots, read_sweep
from llem_core.config.sweep.labels import Labels
from llem_core.config.sweep.product import Combination, Layers
from llem_core.config.yaml import Document
from llem_core.errors import ConfigError, LLEMError, PreFlightError
from llem_core.plugins import plugins
from llem_core.text import without_secrets

_MOST_REASONS = 5


@dataclass(frozen=True, slots=True)
class Expansion:
    """What a study file stands for.

    Attributes:
        experiments: the valid configurations, each once, in the order of the file.
        skipped: combinations that are no valid experiments.
        labels: what varies, by ``measurement_config_hash``.
        merged: a sentence for each set of identical combinations.
        n_generated: combinations in all; ``experiments``, ``skipped`` and those merged away.
    """

    experiments: tuple[ExperimentConfig, ...]
    skipped: tuple[SkippedConfig, ...]
    labels: dict[str, str]
    merged: tuple[str, ...]
    n_generated: int


def expand_grid(study: Mapping[str, Any], *, over: Mapping[str, Any] | None = None) -> Expansion:
    """Expand ``sweep`` and ``experiments`` of a study and validate what comes out.

    ``sweep`` maps dotted paths to lists, of which every combination is taken in the order of
    the keys; a list of such maps is the union of their grids. A value stands for all that is
    at its path. A path into a backend's section multiplies that backend's experiments alone.
    ``experiments`` is a list of experiments, each merged over the shared fields; it comes
    after the sweep. With neither, the shared fields are the one experiment.

    Args:
        study: the study file as a mapping, with ``base`` already merged under it.
        over: raw fields that win over swept values: the environment and the command line.

    Raises:
        ConfigError: the file does not follow the grammar, stands for too many combinations,
            or none of them is a valid experiment; names the key and the remedy.
    """
    return expand(Document("", study), (), [Layer.read(over or {}, "")])


def expand(document: Document, below: Sequence[Layer], over: Sequence[Layer]) -> Expansion:
    """``expand_grid`` of a document, with the layers under and over it.

    Raises:
        KeyedConfigError: a key of the document cannot be used.
        ConfigError: none of the combinations is a valid experiment.
    """
    study = document.content
    own = {key: value for key, value in study.items() if key not in STUDY_KEYS}
    backends = own if isinstance(own.get("backend"), list) else {}
    grids = read_sweep(backends, study.get("sweep"))
    if backends:
        del own["backend"]
    entries = _read_entries(study.get("experiments"))
    shared = [*below, Layer.read(Document(document.source, own, document.root))]
    scopes = _named_backends([*shared, *over], entries, grids)
    _refuse_unknown(shared, grids, scopes)
    layers = Layers(shared, over, scopes)
    if not grids and not entries:
        entries = [{}]
    n_generated = count(chain(map(layers.size, grids), [len(entries)]))
    fixed: dict[str, str] = {}
    for grid in grids:
        fixed.update(layers.fixed(grid))
    swept = chain.from_iterable(map(layers.combinations, grids))
    listed = map(layers.entry, entries, range(len(entries)))
    with _collector_paused():
        return _validate(chain(swept, listed), n_generated, fixed.values())


@contextlib.contextmanager
def _collector_paused() -> Iterator[None]:
    """Within the block, nothing looks for garbage: all that is made there stays.

    The collector would go through tens of thousands of models again and again, for a fifth of
    the time that they take.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _validate(
    combinations: Iterable[Combination], n_generated: int, said: Iterable[str]
) -> Expansion:
    found: dict[str, ExperimentConfig] = {}
    points: dict[str, list[dict[str, Any]]] = {}
    failed: list[tuple[Combination, str]] = []
    for combination in combinations:
        try:
            config = combination.build()
        except ValidationError as error:
            failed.append((combination, describe(error, ExperimentConfig, combination.place)))
            continue
        name = config.measurement_config_hash
        found.setdefault(name, config)
        points.setdefault(name, []).append(combination.point)
    if not found:
        raise _all_skipped(failed)
    labels = Labels([*chain.from_iterable(points.values()), *(c.point for c, _ in failed)])
    return Expansion(
        experiments=tuple(found.values()),
        skipped=tuple(
            SkippedConfig(
                label=labels.of(c.point), fields=without_secrets(c.fields()), reason=reason
            )
            for c, reason in failed
        ),
        labels=labels.unique({name: same[0] for name, same in points.items()}, found),
        merged=(*said, *(labels.merged(same) for same in points.values() if len(same) > 1)),
        n_generated=n_generated,
    )


def _read_entries(entries: Any) -> list[Mapping[str, Any]]:
    if entries is None:
        return []
    if not isinstance(entries, list):
        raise KeyedConfigError(
            ("experiments",),
            "a list of experiments belongs here, each a mapping of the fields in "
            "which it differs from the shared ones.",
        )
    for number, entry in enumerate(entries):
        at = ("experiments", number)
        if not isinstance(entry, Mapping):
            raise KeyedConfigError(
                at,
                f"{entry!r:.60} is no experiment; write the fields in which it differs, such "
                "as `- precision: bf16`.",
            )
        for key in entry:
            if key in STUDY_KEYS:
                raise KeyedConfigError(
                    (*at, key),
                    f"{key!r} belongs to the study as a whole; write it at the top of the file.",
                )
            if not isinstance(key, str) or "." in key:
                raise KeyedConfigError(
                    at,
                    f"{key!r:.60} is a path, and only sweep has paths; write nested mappings, "
                    "such as `pytorch: {batch_size: 8}`.",
                )
    return entries


def _named_backends(
    layers: Iterable[Layer], entries: Iterable[Mapping[str, Any]], grids: Iterable[Grid]
) -> set[str]:
    named = [fields.get("backend") for fields in (*(each.fields for each in layers), *entries)]
    named += [backend for grid in grids for backend in grid.backends(None)]
    return {backend for backend in named if isinstance(backend, str)}


def _refuse_unknown(shared: Iterable[Layer], grids: Iterable[Grid], scopes: set[str]) -> None:
    known = [*known_roots(), *STUDY_KEYS, *scopes]
    for layer in shared:
        for key in layer.fields:
            if key not in known:
                problem = KeyedConfigError((key,), f"unknown key; {hint_at(key, known)}")
                raise (
                    problem
                    if layer.document.root is None
                    else problem.at(layer.document.place((key,)))
                )
    for grid in grids:
        for dimension in grid.dimensions:
            if dimension.root not in known:
                hint = hint_at(dimension.root, known)
                raise KeyedConfigError(dimension.at, f"unknown key; {hint}")


def several_backends(backends: Iterable[str]) -> str:
    """Why backends of which one is neither here nor in an environment cannot share a study."""
    named = list(backends)
    lacking = [backend for backend in named if backend not in plugins().backends]
    told = f"{' and '.join(lacking)} {'is' if len(lacking) == 1 else 'are'}"
    return (
        f"it has the backends {' and '.join(named)}, of which {told} not installed here and "
        "without an environment; define one for each in `environments`: a Python of its own "
        f"(`environments: {{{lacking[0]}: {{python: /path/bin/python}}}}`), or a container image "
        f"for the Docker runner (`environments: {{{lacking[0]}: {{image: …}}}}`)"
    )


def _all_skipped(failed: Sequence[tuple[Combination, str]]) -> LLEMError:
    reasons = [reason for _, reason in failed]
    backends = dict.fromkeys(str(c.fields().get("backend", DEFAULT_BACKEND)) for c, _ in failed)
    if len(backends) > 1 and not any(backend in plugins().backends for backend in backends):
        return PreFlightError(f"the study cannot run: {several_backends(backends)}.")
    counted: dict[str, int] = {}
    for reason in reasons:
        counted[reason] = counted.get(reason, 0) + 1
    if len(reasons) == 1:
        return ConfigError(f"{reasons[0].rstrip('.?')}.")
    told = [f"{reason} ({n} of them)" for reason, n in list(counted.items())[:_MOST_REASONS]]
    if len(counted) > _MOST_REASONS:
        told.append(f"and {len(counted) - _MOST_REASONS} more reasons")
    return KeyedConfigError(
        (), f"none of its {len(reasons)} combinations is a valid experiment: {'; '.join(told)}."
    )
