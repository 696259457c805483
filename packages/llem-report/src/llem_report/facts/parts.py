"""What facts are made of: sections of rows, each with its text and, where it has one, its value."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from llem_core.text import displayable, without_password

Value = str | float | int | bool | None


@dataclass(frozen=True, slots=True)
class Row:
    """One fact.

    Attributes:
        label: what it is.
        text: the same for people, with its unit.
        name: of the field that it is from; the unit is in it. Empty where it is of none.
        value: the figure in that unit; ``None`` where the text is all there is.
    """

    label: str
    text: str
    name: str = ""
    value: Value = None


@dataclass(frozen=True, slots=True)
class Table:
    """A table of plain cells.

    Attributes:
        caption: what it holds.
        columns: headings, with units.
        rows: cells as text; a row's first cell names it.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Section:
    """Facts under one heading.

    Attributes:
        title: the heading.
        rows: facts.
        items: sentences.
        tables: tables.
    """

    title: str
    rows: tuple[Row, ...] = ()
    items: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.rows or self.items or self.tables)


@dataclass(slots=True)
class Collector:
    """Puts a section together; facts that are not known are left out."""

    title: str
    rows: list[Row] = field(default_factory=list)
    items: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)

    def add(self, label: str, text: str | None, name: str = "", value: Value = None) -> None:
        """Add a fact; nothing for a text that is ``None``."""
        if text is not None:
            self.rows.append(Row(label, text, name, value))

    def section(self) -> Section:
        """The finished section."""
        return Section(self.title, tuple(self.rows), tuple(self.items), tuple(self.tables))


def listed(values: Iterable[str]) -> str:
    """Names in one line, each once."""
    return ", ".join(dict.fromkeys(values))


def clean(value: Any) -> Any:
    """The value with nothing in its texts that acts instead of being seen, and no password.

    Control characters, marks that turn the direction of writing and lone surrogates are written
    out: a page, a table and a terminal show the same.
    """
    if isinstance(value, str):
        return displayable(without_password(value))
    if isinstance(value, dict):
        return {clean(key): clean(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [clean(inner) for inner in value]
    return value
