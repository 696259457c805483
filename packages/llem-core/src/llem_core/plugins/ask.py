"""Asks a plugin whether it is usable here, and takes no harm from its answer."""

from __future__ import annotations

import contextlib
import io
import threading
from dataclasses import replace
from typing import Any

from llem_core.contracts.backend import BackendSpec
from llem_core.contracts.readings import Availability
from llem_core.contracts.sampler import SamplerSpec
from llem_core.plugins.reasons import told

LIMIT_S = 10.0


def ask_availability(spec: BackendSpec | SamplerSpec, limit_s: float = LIMIT_S) -> Availability:
    """A plugin's own word on whether it is usable; a failure to tell is a no.

    Args:
        spec: the plugin.
        limit_s: how long it may take (s): a driver that hangs must not hang the program.
    """
    answer: list[Any] = []

    def ask() -> None:
        try:
            answer.append(spec.availability())
        # In this thread nothing but the plugin can raise.
        except BaseException as error:  # noqa: BLE001
            answer.append(Availability(False, f"it failed to tell ({told(error)})"))

    thread = threading.Thread(target=ask, name=f"llem-ask-{spec.name}", daemon=True)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        thread.start()
        thread.join(limit_s)
    if not answer:
        return Availability(False, f"it did not tell within {limit_s:g} s")
    return _checked(answer[0], printed.getvalue().strip())


def _checked(answer: Any, printed: str) -> Availability:
    if not isinstance(answer, Availability):
        kind = type(answer).__name__
        return Availability(False, f"it told nothing: it returned {kind}, not an Availability")
    reason = " ".join(str(answer.reason or "").split()) or "it gives no reason"
    if printed:
        reason = f"{reason.rstrip('.')} (asked, it printed {printed[:80]!r})"
    return replace(answer, usable=bool(answer.usable), reason=reason)
