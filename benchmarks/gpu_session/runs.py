"""Measures one experiment as a user would, with a window that fits the time that is left."""

from __future__ import annotations

import math
from typing import Any

from llenergymeasure import ExperimentResult, run_experiment

from gpu_session.session import Session

FIELDS = (
    *("duration_s", "n_requests", "output_tokens", "output_tokens_per_second"),
    *("time_to_first_token", "inter_token_latency", "end_to_end_latency"),
    *("energy_source", "energy_method", "energy_scope", "energy_total_j", "energy_adjusted_j"),
    *("energy_per_output_token_j", "energy_uncertainty_comparison_j"),
    *("energy_uncertainty_absolute_j", "energy_cross_check_j", "energy_cross_check_difference"),
    *("mean_power_w", "peak_power_w", "baseline", "loaded_baseline", "phase_energy", "sensor"),
    *("weights_memory_bytes", "peak_memory_bytes", "thermal", "measurement_warnings"),
    "unavailable",
)
"""Fields of a result that the log keeps; the whole of it is in the archive."""
BESIDE_S = 12.0
"""What an experiment on a card does beside window and baselines: load, warm-up, edges (s)."""


def measure(
    session: Session,
    name: str,
    *,
    batch: int,
    window_s: float,
    output_tokens: int | None = None,
    baseline_s: float | None = None,
    **energy: Any,
) -> ExperimentResult:
    """Measure the session's model once and note the result.

    Args:
        session: of the step.
        name: of the result in the log.
        batch: requests that are generated together.
        window_s: length of the window; shorter where it would not end in time.
        output_tokens: of each request; the scale's own if not given.
        baseline_s: length of each baseline; none are taken if not given.
        **energy: fields of the section ``energy``.
    """
    scale = session.scale
    tokens = output_tokens or scale.output_tokens
    token_s = session.earlier("recorder").get("token_s") or scale.token_s
    fits_s = session.left_s - 2 * (baseline_s or 0.0) - BESIDE_S
    count = max(2, math.ceil(min(window_s, fits_s) / (tokens * token_s)))
    baseline: dict[str, Any] = {"enabled": False}
    if baseline_s is not None:
        baseline = {"duration_seconds": baseline_s}
    result = run_experiment(
        model=scale.model,
        precision=scale.precision,
        n=count * batch,
        dataset="synthetic",
        max_input_tokens=scale.input_tokens,
        max_output_tokens=tokens,
        warmup={"n_warmup": 1, "convergence_detection": False},
        baseline=baseline,
        energy={"sampler": "nvml", **energy},
        pytorch={"batch_size": batch, "device": session.machine.device},
        output_dir=session.raw / "experiments" / name.replace(" ", "-"),
    )
    session.note(name, facts(result) | {"batch": batch, "tokens_a_request": tokens})
    return result


def fits(session: Session, window_s: float) -> bool:
    """Whether another experiment without baselines would end before the step is cut."""
    beside_s = 1.0 if session.machine.simulated else BESIDE_S
    return session.left_s > beside_s + window_s


def facts(result: ExperimentResult) -> dict[str, Any]:
    """What the log keeps of a result."""
    whole = result.model_dump(mode="json")
    return {name: whole[name] for name in FIELDS}
