"""The few figures of a result that its study needs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from llem_core.contracts.sampler import EnergyMethod
from llem_core.contracts.workload import LoadMode
from llem_core.results.experiment import LATENCIES, ExperimentResult
from llem_core.results.migrate import migrate_experiment
from llem_core.results.study import CycleStatistics, LoadStatistics

SERVED = tuple(
    name
    for name, field in LoadStatistics.model_fields.items()
    if CycleStatistics in get_args(field.annotation)
)
"""The quantities of ``LoadStatistics``."""
_SERVED_PARTS = {"load", "energy_per_request_j", "mean_power_w", *LATENCIES}


@dataclass(frozen=True, slots=True)
class Figures:
    """What a study needs of one result; units are in the names."""

    energy_per_output_token_j: float | None
    energy_adjusted_j: float | None
    output_tokens_per_second: float | None
    energy_total_j: float | None
    energy_method: EnergyMethod | None
    energy_source: str | None
    duration_s: float
    served: ServedFigures | None = None


@dataclass(frozen=True, slots=True)
class ServedFigures:
    """What a study needs of a result under a load.

    Attributes:
        mode: closed, open or trace.
        values: those quantities of ``LoadStatistics`` that the result has.
        overloaded: whether more was offered than served.
        steady: whether its window was steady; ``None`` where that is not known.
    """

    mode: LoadMode
    values: Mapping[str, float]
    overloaded: bool
    steady: bool | None


def figures_of(result: ExperimentResult) -> Figures:
    """The figures of a result that is at hand."""
    return Figures(
        energy_per_output_token_j=result.energy_per_output_token_j,
        energy_adjusted_j=result.energy_adjusted_j,
        output_tokens_per_second=result.output_tokens_per_second,
        energy_total_j=result.energy_total_j,
        energy_method=result.energy_method,
        energy_source=result.energy_source,
        duration_s=result.duration_s,
        served=None if result.load is None else _served(result.model_dump(include=_SERVED_PARTS)),
    )


def read_figures(path: Path, config_hash: str) -> Figures:
    """Read a ``result.json``; nothing of it is kept but the figures.

    The file is not validated as a whole: a study of many results would spend its end on that.

    Raises:
        ValueError: it is missing, damaged, of another configuration or of a newer version;
            the message says which.
    """
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise ValueError(f"it cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is damaged ({error})") from error
    if not isinstance(content, dict) or "schema_version" not in content:
        raise ValueError("it is damaged (no schema_version)")
    content = migrate_experiment(content)
    found = content.get("measurement_config_hash")
    if found != config_hash:
        raise ValueError(f"it is of another configuration ({found})")
    duration_s = _number(content, "duration_s")
    if duration_s is None:
        raise ValueError("it is damaged (no duration_s)")
    method = content.get("energy_method")
    source = content.get("energy_source")
    return Figures(
        energy_per_output_token_j=_number(content, "energy_per_output_token_j"),
        energy_adjusted_j=_number(content, "energy_adjusted_j"),
        output_tokens_per_second=_number(content, "output_tokens_per_second"),
        energy_total_j=_number(content, "energy_total_j"),
        energy_method=method if method in get_args(EnergyMethod) else None,
        energy_source=source if isinstance(source, str) else None,
        duration_s=duration_s,
        served=_served(content),
    )


def _served(content: Mapping[str, Any]) -> ServedFigures | None:
    """What is there of a load; ``None`` where batches were run."""
    load = content.get("load")
    if not isinstance(load, dict) or load.get("mode") not in get_args(LoadMode):
        return None
    values: dict[str, float] = {}
    for name in SERVED:
        part, statistic = name.rsplit("_", 2)[0], "_".join(name.rsplit("_", 2)[1:])
        inner = content.get(part) if statistic in {"p50_s", "p99_s"} else None
        found = _number(inner, statistic) if isinstance(inner, dict) else None
        found = _number(load, name) if found is None else found
        found = _number(content, name) if found is None else found
        if found is not None:
            values[name] = found
    evidence = load.get("evidence")
    steady = evidence.get("steady") if isinstance(evidence, dict) else None
    return ServedFigures(load["mode"], values, bool(load.get("overloaded")), steady)


def _number(content: Mapping[str, Any], name: str) -> float | None:
    value = content.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None
