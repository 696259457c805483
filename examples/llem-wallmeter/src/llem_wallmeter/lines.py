"""What a meter writes: one line a reading."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the meter.

    Attributes:
        time_s: its own time in seconds, of whatever clock; ``None`` where it has none.
        value: its figure, in the unit of ``wallmeter.quantity``.
        step: worth of the last digit of that figure: 0.01 for ``40.25``.
    """

    time_s: float | None
    value: float
    step: float


def parse(text: str, *, timed: bool) -> Line | None:
    """Read ``<time> <figure>``, separated by blanks, a comma or a semicolon.

    Without ``timed`` the figure is the last column, and a time before it is ignored. Further
    columns of a timed line (voltage, current, …) are ignored.

    Returns:
        ``None`` for what is no reading, such as a header or a broken line.
    """
    columns = text.replace(",", " ").replace(";", " ").split()
    if len(columns) < (2 if timed else 1):
        return None
    try:
        time_s = _time(columns[0]) if timed else None
        figure = Decimal(columns[1 if timed else -1])
    except (ValueError, ArithmeticError):
        return None
    exponent = figure.as_tuple().exponent
    if not isinstance(exponent, int) or figure < 0:  # not a number, infinite, negative
        return None
    if time_s is not None and not math.isfinite(time_s):
        return None
    return Line(time_s, float(figure), 10.0**exponent)


def is_reading(text: str) -> bool:
    """Whether a line claims to be a reading: it is neither blank nor a comment."""
    stripped = text.strip()
    return bool(stripped) and not stripped.startswith("#")


def _time(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return dt.datetime.fromisoformat(text).timestamp()
