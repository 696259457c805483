"""Says what is wrong with a plugin, in one sentence: foreign code fails in many ways."""

from __future__ import annotations

import contextlib
import io
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import EntryPoint
from typing import Any

import pluggy

from llem_core.contracts import hookspecs
from llem_core.contracts.backend import BackendSpec
from llem_core.contracts.config import Section
from llem_core.contracts.hookspecs import Availability
from llem_core.contracts.launcher import LauncherSpec
from llem_core.contracts.sampler import SamplerSpec
from llem_core.errors import PluginError
from llem_core.text import nearest

_LONGEST = 500
SLOW_IMPORT_S = 1.0


def why_not_imported(point: EntryPoint, error: BaseException) -> str:
    """Why an entry point does not load; names the module that is really missing."""
    if isinstance(error, AttributeError) and point.attr and f"{point.attr!r}" in str(error):
        return (
            f"its entry point names {point.value}, and there is no {point.attr!r} in that module; "
            "tell its author, or install another version"
        )
    return f"it does not import: {describe(error)}"


def why_not_registered(error: BaseException) -> str:
    """Why a plugin that was imported cannot be registered."""
    if isinstance(error, PluginError):
        return str(error)
    if isinstance(error, pluggy.PluginValidationError):
        return f"one of its hooks does not fit the contract: {_argument(error)}"
    return f"it does not register: {describe(error)}"


def describe(error: BaseException) -> str:
    """An exception with what caused it, on one line."""
    parts = [f"{type(each).__name__}: {each}".rstrip(": ") for each in _chain(error)]
    text = ", caused by ".join(" ".join(part.split()) for part in parts)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in seen:
        seen.append(current)
        yield current
        hidden = current.__suppress_context__
        current = current.__cause__ or (None if hidden else current.__context__)


def _argument(error: pluggy.PluginValidationError) -> str:
    """The part of pluggy's message that a person can use."""
    text = " ".join(str(error).split())
    found = re.search(r"hook '(\w+)'.*Argument\(s\) (\{.*?\}) are declared", text)
    return f"{found[1]} takes no argument {found[2].strip('{}')}" if found else text


def unknown_hooks(manager: pluggy.PluginManager, plugin: object) -> list[str]:
    """A note for each ``@hookimpl`` of a plugin whose name is no hook."""
    known = [name for name, caller in vars(manager.hook).items() if caller.has_spec()]
    notes = []
    for name in sorted(set(dir(plugin)) - set(known)):
        # `parse_hookimpl_opts` calls what it looks at in some versions: ask for marked ones only.
        if name.startswith("llem_") and manager.parse_hookimpl_opts(plugin, name) is not None:
            near = nearest(name, known)
            hint = f"; did you mean {near}?" if near else ""
            notes.append(f"implements {name}, which is no hook{hint}")
    return notes


def why_unbuildable(section: type[Section] | None) -> str | None:
    """Why no configuration can be made with a section; ``None`` if it can."""
    if section is None:
        return None
    try:
        section.model_json_schema()
    except Exception as error:  # noqa: BLE001 - pydantic's errors, and those of a plugin's own code
        return f"its section {section.__name__} cannot be used: {describe(error)}"
    return None


LIMIT_S = 10.0


def ask_availability(
    spec: BackendSpec | SamplerSpec | LauncherSpec, limit_s: float = LIMIT_S
) -> Availability:
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
            answer.append(Availability(False, f"it failed to tell ({describe(error)})"))

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


def oddities(printed: str, import_s: float) -> tuple[str, ...]:
    """Notes on what a plugin did while it was imported."""
    notes = []
    if printed.strip():
        notes.append(f"printed at import: {printed.strip()[:80]!r}")
    if import_s > SLOW_IMPORT_S:
        notes.append(f"took {import_s:.1f} s to import")
    return tuple(notes)


def other_contract(declared: object) -> str:
    """What to do about a plugin that was written for another contract, or declares none."""
    ours = hookspecs.CONTRACT_VERSION
    if declared is None:
        return (
            f"it does not declare its contract; add `LLEM_CONTRACT = {ours}` to the module that "
            "the entry point names"
        )
    told = f"it was written for plugin contract {declared!r}, and this llem-core has {ours}"
    if isinstance(declared, int) and declared in hookspecs.CONTRACT_HISTORY:
        changed = "; ".join(hookspecs.CONTRACT_HISTORY[n] for n in range(declared + 1, ours + 1))
        return f"{told}; install a newer version of it, or, as its author, change this: {changed}"
    return f"{told}; install versions that fit each other"
