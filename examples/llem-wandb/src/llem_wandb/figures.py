"""What of a result becomes a run's configuration and summary; the unit is in each name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from llem_core.text import without_secrets

_LATENCIES = (
    "queue_time",
    "time_to_first_token",
    "inter_token_latency",
    "time_per_output_token",
    "end_to_end_latency",
)
_FLOPS = ("total_flops", "flops_per_second", "model_flops_utilisation")


def settings(result: Mapping[str, Any]) -> dict[str, Any]:
    """Every setting by its dotted path, without what a key calls a secret."""
    chosen = {k: v for k, v in result["effective_config"].items() if k != "effective"}
    return dict(_flat(without_secrets(chosen), ""))


def metrics(result: Mapping[str, Any]) -> dict[str, float]:
    """Every figure that was measured; what is null is left out, not 0."""
    return {
        name: float(value)
        for name, value in _numbers(result)
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def reasons(result: Mapping[str, Any]) -> dict[str, str]:
    """Why a figure is null, by its name."""
    return dict(result["unavailable"])


def facts(result: Mapping[str, Any]) -> dict[str, str]:
    """What a figure cannot be read without: how the energy was obtained, where, with what."""
    environment = result["environment_snapshot"]
    told = {
        "measurement_config_hash": result["measurement_config_hash"],
        "model": result["model"],
        "backend": result["backend"],
        "energy_source": result["energy_source"],
        "energy_method": result["energy_method"],
        "energy_estimated": result["energy_method"] == "estimated",
        "devices": ", ".join(result["model_record"]["devices"]),
        "dtype": result["model_record"]["dtype"],
        "random_weights": result["model_record"]["random_weights"],
        "dataset_sha256": result["dataset_sha256"],
        "tool_version": environment["tool_version"],
        "driver_version": environment["driver_version"],
        "started_at": result["started_at"],
        "n_warnings": len(result["measurement_warnings"]),
    }
    return {name: str(value) for name, value in told.items() if value is not None}


def key(result: Mapping[str, Any]) -> str:
    """What names an experiment: written again, it is the same run."""
    processes = result["processes"]
    # Two short ones may begin in the same process within the same second.
    first = f"{processes[0]['pid']}-{processes[0]['duration_s']}" if processes else "0"
    return f"{result['measurement_config_hash']}-{result['started_at']}-{first}"


def _numbers(result: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in result.items():
        if name in _LATENCIES and value is not None:
            yield from ((f"{name}_{part}", inner) for part, inner in value.items() if part != "n")
        elif name == "load" and value is not None:
            yield from ((f"load_{part}", inner) for part, inner in value.items())
        elif name != "schema_version":
            yield name, value
    yield from ((name, result["flops"][name]) for name in _FLOPS)


def _flat(value: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, inner in value.items():
        if isinstance(inner, Mapping) and inner:
            yield from _flat(inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", inner
