"""The page of the contracts' types: every field, from the dataclasses and their docstrings."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterator
from types import ModuleType

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

_ENTRY = re.compile(r"^ {4}(?P<names>\w+(?:, \w+)*): (?P<text>.*)$")
_SECTIONS = ("Args:", "Attributes:", "Raises:", "Returns:", "Example")
_UNITS = (
    ("_percent", "%"),
    ("_bytes", "bytes"),
    ("_hz", "Hz"),
    ("_j", "J"),
    ("_w", "W"),
    ("_s", "s"),
    ("_c", "°C"),
    ("_tokens", "tokens"),
)


def page(generated: str, module: ModuleType) -> str:
    """Every type that the module offers, in the order of the alphabet."""
    lines = [generated, "# Types of the contracts", ""]
    lines += [
        f"All that a plugin gets and gives; imported from `{module.__name__}`. Moments are seconds",
        "of `time.monotonic()`. The [guides](../plugins/backend.md) show them in use.",
    ]
    for name in sorted(module.__all__, key=str.lower):
        value = getattr(module, name)
        if inspect.isclass(value):
            lines += ["", f"## `{name}`", "", *section(value)]
    return "\n".join(lines) + "\n"


def section(kind: type) -> list[str]:
    """What the docstring says, and a table of the fields, or of the methods."""
    lines = [paragraph for part in _prose(kind) for paragraph in (part, "")]
    if not dataclasses.is_dataclass(kind) and not issubclass(kind, BaseModel):
        lines += ["| method | what it does |", "|---|---|"]
        return lines + [f"| `{called}` | {_cell(text)} |" for called, text in methods(kind)]
    rows = list(fields(kind))
    if not rows:
        return [*lines, "It has no fields of its own."]
    lines += ["| field | type | unit | default | meaning |", "|---|---|---|---|---|"]
    return lines + [f"| {' | '.join(map(_cell, row))} |" for row in rows]


def fields(kind: type) -> Iterator[tuple[str, str, str, str, str]]:
    """Name, type, unit, default and meaning of each field."""
    if issubclass(kind, BaseModel):
        for name, field in kind.model_fields.items():
            written = kind.__annotations__.get(name, field.annotation)
            default = field.get_default(call_default_factory=False)
            given = "required" if default is PydanticUndefined else f"`{default!r}`"
            yield f"`{name}`", f"`{written}`", unit(name), given, field.description or ""
        return
    meanings = attributes(kind)
    for each in dataclasses.fields(kind):
        meaning = meanings.get(each.name, "")
        yield f"`{each.name}`", f"`{each.type}`", unit(each.name), _default(each), meaning


def methods(kind: type) -> Iterator[tuple[str, str]]:
    """How each public method is called, and the first paragraph of what it says."""
    for name, value in inspect.getmembers(kind):
        if name.startswith("_") or not (inspect.isfunction(value) or isinstance(value, property)):
            continue
        called = name if isinstance(value, property) else f"{name}{_signature(value)}"
        yield called, " ".join((inspect.getdoc(value) or "").split("\n\n")[0].split())


def attributes(kind: type) -> dict[str, str]:
    """Field to its description, from the docstring's ``Attributes`` of the class and its bases."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        doc = inspect.cleandoc(base.__doc__ or "")
        names: list[str] = []
        for line in doc.partition("Attributes:\n")[2].splitlines():
            entry = _ENTRY.match(line)
            if entry:
                names = entry["names"].split(", ")
                found |= dict.fromkeys(names, entry["text"])
            elif line.startswith(" " * 8):
                found |= {name: f"{found[name]} {line.strip()}" for name in names}
            elif line.strip():
                break
    return found


def unit(name: str) -> str:
    """The unit that a name ends with; empty where it has none."""
    return next((unit for ending, unit in _UNITS if name.endswith(ending)), "")


def _prose(kind: type) -> Iterator[str]:
    for paragraph in inspect.cleandoc(kind.__doc__ or "").split("\n\n"):
        if paragraph.startswith(_SECTIONS) or paragraph.rstrip().endswith("::"):
            return
        yield paragraph.replace("``", "`")


def _signature(value: object) -> str:
    given = inspect.signature(value)  # type: ignore[arg-type]
    names = [name for name in given.parameters if name != "self"]
    return f"({', '.join(names)})"


def _default(field: dataclasses.Field[object]) -> str:
    if field.default_factory is not dataclasses.MISSING:
        return f"`{field.default_factory()!r}`"
    if field.default is dataclasses.MISSING:
        return "required"
    name = getattr(field.default, "__name__", None)
    return "its own" if name else f"`{field.default!r}`"


def _cell(text: str) -> str:
    return text.replace("``", "`").replace("|", "\\|")
