"""The same experiment twice: how far two results of one card lie apart."""

from __future__ import annotations

from gpu_session.runs import fits, measure
from gpu_session.session import Session

REPEATS = 2


def run(session: Session) -> None:
    """Measure it again and again while there is time."""
    scale = session.scale
    for number in range(1, REPEATS + 1):
        if not fits(session, scale.repeat_window_s):
            session.note("not_run", REPEATS - number + 1)
            return
        measure(session, f"repeat {number}", batch=scale.batch, window_s=scale.repeat_window_s)
