"""One long window with both baselines: the counter against the integral, and the idle check."""

from __future__ import annotations

from gpu_session.runs import measure
from gpu_session.session import Session


def run(session: Session) -> None:
    """Measure it."""
    scale = session.scale
    measure(
        session,
        "result",
        batch=scale.batch,
        window_s=scale.long_window_s,
        baseline_s=scale.baseline_s,
    )
