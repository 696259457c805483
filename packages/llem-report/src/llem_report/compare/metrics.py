"""The figures that can be compared, and which way is better."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from llem_core.errors import ConfigError
from llem_core.results.experiment import LATENCIES, ExperimentResult
from llem_core.results.views.rows import row
from llem_core.text import nearest


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure of a result.

    Attributes:
        name: its column in ``result.csv``.
        unit: its unit.
        better: which way is better.
        energy: the energy that it is made of, whose uncertainty is its own; ``None`` if none.
    """

    name: str
    unit: str
    better: Literal["lower", "higher"]
    energy: Literal["total", "adjusted"] | None = None


ENERGY = "energy_per_output_token_j"
SPEED = "output_tokens_per_second"
_STATISTICS = ("mean_s", "p50_s", "p90_s", "p95_s", "p99_s")


def _all() -> list[Metric]:
    return [
        Metric(ENERGY, "J", "lower", "total"),
        Metric("energy_total_j", "J", "lower", "total"),
        Metric("energy_per_request_j", "J", "lower", "total"),
        Metric("energy_adjusted_j", "J", "lower", "adjusted"),
        Metric("energy_adjusted_per_output_token_j", "J", "lower", "adjusted"),
        Metric("mean_power_w", "W", "lower", "total"),
        Metric(SPEED, "1/s", "higher"),
        Metric("requests_per_second", "1/s", "higher"),
        Metric("duration_s", "s", "lower"),
        Metric("peak_memory_bytes", "B", "lower"),
        Metric("weights_memory_bytes", "B", "lower"),
        Metric("load_goodput_requests_per_second", "1/s", "higher"),
        Metric("load_energy_per_good_request_j", "J", "lower", "total"),
        *(Metric(f"{name}_{part}", "s", "lower") for name in LATENCIES for part in _STATISTICS),
    ]


METRICS: Mapping[str, Metric] = MappingProxyType({one.name: one for one in _all()})
"""By name."""


def metric(name: str) -> Metric:
    """The metric of this name.

    Raises:
        ConfigError: there is none.
    """
    if name not in METRICS:
        near = nearest(name, METRICS)
        raise ConfigError(
            f"{name[:80]!r} is no figure that can be compared; "
            f"{f'did you mean {near}? ' if near else ''}There are: {', '.join(METRICS)}."
        )
    return METRICS[name]


def figures_of(result: ExperimentResult) -> dict[str, float]:
    """All metrics that the result has and that are above 0, as ratios are taken of them."""
    figures = row(result)
    values = ((name, figures.get(name)) for name in METRICS)
    return {
        name: float(value)
        for name, value in values
        if isinstance(value, int | float) and not isinstance(value, bool) and value > 0
    }
