"""What our own parts cost: the token recorder, and the sampler at 10 and 100 Hz.

One request of an 8B shape is generated bare, with the recorder, and with recorder and sampler, in
turn. Once the host also waits for the device at each token, and its clock is compared with the
CUDA events by which the recorder tells when a token was there.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from llem_core.contracts import SamplerSettings
from llem_core.plugins import plugins

from gpu_session.engine import BareModel
from gpu_session.session import Session

MOST_ROUNDS = 6


def run(session: Session) -> None:
    """Load, warm up, compare the clocks, then go round and round while there is time."""
    scale = session.scale
    started_s = time.monotonic()
    model = BareModel(
        scale.model,
        scale.precision,
        session.machine.device,
        scale.input_tokens,
        scale.output_tokens,
    )
    try:
        model.synchronise()
        session.note("load_s", time.monotonic() - started_s)
        _compare(session, model)
        _rounds(session, model)
    finally:
        model.close()


def _compare(session: Session, model: BareModel) -> None:
    session.note("warm_up_s", model.generate_s())
    told_s, stamped_s = model.token_times_s()
    apart_us = [1e6 * (a - b) for a, b in zip(told_s, stamped_s, strict=True)]
    session.note("events_less_host_us", [round(value, 1) for value in apart_us])


def _rounds(session: Session, model: BareModel) -> None:
    kinds: dict[str, Callable[[], float]] = {
        "bare": model.generate_s,
        "recorder": model.recorded_s,
    }
    for rate_hz in session.scale.rates_hz:
        kinds[f"recorder, sampler at {rate_hz:g} Hz"] = lambda hz=rate_hz: _sampled_s(model, hz)
    took_s: dict[str, list[float]] = {name: [] for name in kinds}
    longest_s = 0.0
    for number in range(MOST_ROUNDS):
        if number and session.left_s < 1.5 * longest_s:
            break
        started_s = time.monotonic()
        # Whatever drifts within a round meets every kind in turn.
        names = list(kinds)[number % len(kinds) :] + list(kinds)[: number % len(kinds)]
        for name in names:
            took_s[name].append(kinds[name]())
        longest_s = max(longest_s, time.monotonic() - started_s)
        medians_s = {name: statistics.median(values) for name, values in took_s.items()}
        session.note("took_s", took_s)
        session.note("cost", {n: value / medians_s["bare"] - 1 for n, value in medians_s.items()})
        session.note("token_s", medians_s["recorder"] / model.output_tokens)


def _sampled_s(model: BareModel, rate_hz: float) -> float:
    spec = plugins().samplers.get("nvml")
    section = spec.section() if spec.section else None
    sampler = spec.create(SamplerSettings(1 / rate_hz, section))
    sampler.start()
    try:
        return model.recorded_s()
    finally:
        sampler.stop()
