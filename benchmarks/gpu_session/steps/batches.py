"""The energy of a token at other batch sizes; that of the long window stands between them."""

from __future__ import annotations

from gpu_session.runs import fits, measure
from gpu_session.session import Session


def run(session: Session) -> None:
    """Measure each batch size while there is time."""
    scale = session.scale
    for position, batch in enumerate(scale.batches):
        if not fits(session, scale.window_s):
            session.note("not_run", list(scale.batches[position:]))
            return
        measure(session, f"batch {batch}", batch=batch, window_s=scale.window_s)
