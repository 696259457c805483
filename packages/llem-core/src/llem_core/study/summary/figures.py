"""The few figures of a result that its study needs."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from llem_core.contracts.sampler import EnergyMethod
from llem_core.results.experiment import ExperimentResult
from llem_core.results.migrate import migrate_experiment


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
    )


def _number(content: dict[str, Any], name: str) -> float | None:
    value = content.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None
