"""Prefill and decode apart, at a short and a long output: the share of prefill falls."""

from __future__ import annotations

from gpu_session.runs import fits, measure
from gpu_session.session import Session


def run(session: Session) -> None:
    """Measure each output length while there is time."""
    scale = session.scale
    for position, tokens in enumerate(scale.phase_outputs):
        # The passes of the phases come on top of the window.
        if not fits(session, 2 * scale.phase_window_s):
            session.note("not_run", list(scale.phase_outputs[position:]))
            return
        measure(
            session,
            f"output {tokens}",
            batch=scale.batch,
            window_s=scale.phase_window_s,
            output_tokens=tokens,
            phase_energy=True,
        )
