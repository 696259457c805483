"""Conversions between units, and how quantities are written for people.

Everything inside is in SI base units with the unit in the name (``energy_j``,
``power_w``, ``duration_s``, ``memory_bytes``). The factors below are the only ones.
"""

from __future__ import annotations

from collections.abc import Iterable

MILLI = 1e-3
MICRO = 1e-6
JOULES_PER_KWH = 3.6e6
BYTES_PER_KIB = 1024
BYTES_PER_MIB = 1024**2
BYTES_PER_GIB = 1024**3

_PREFIXES = ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))
_SMALL = ((1e-3, "m"), (1e-6, "µ"), (1e-9, "n"))


def from_milli(value: float) -> float:
    """Thousandths to units: mJ to J, mW to W, ms to s."""
    return value * MILLI


def to_milli(value: float) -> float:
    """Units to thousandths: J to mJ, W to mW, s to ms."""
    return value / MILLI


def kwh_to_joules(energy_kwh: float) -> float:
    """Kilowatt-hours to joules (1 kWh = 3.6 MJ)."""
    return energy_kwh * JOULES_PER_KWH


def format_si(value: float, unit: str, digits: int = 3) -> str:
    """Write a quantity with an SI prefix, such as ``12.3 mJ`` or ``1.25 kJ``.

    Args:
        value: the quantity in ``unit``.
        unit: the unit's symbol, which the prefix goes before.
        digits: significant digits.
    """
    size = abs(value)
    if size == 0:
        return f"0 {unit}"
    for factor, prefix in (*_PREFIXES, *_SMALL):
        if size >= factor * (1 - 0.5 * 10**-digits):
            return f"{_significant(value / factor, digits)} {prefix}{unit}"
    return f"{value:.{digits}g} {unit}"


def common_prefix(values: Iterable[float]) -> tuple[float, str]:
    """The SI prefix to write several quantities with, and its factor.

    The largest one in which the smallest quantity other than zero is at least 1, so that a
    column of them can be compared digit by digit.
    """
    sizes = [abs(value) for value in values if value]
    smallest = min(sizes, default=1.0)
    for factor, prefix in (*_PREFIXES, *_SMALL):
        if smallest >= factor:
            return factor, prefix
    return _SMALL[-1]


def format_bytes(size_bytes: float) -> str:
    """Write a size in binary units, such as ``512 MiB`` or ``1.4 GiB``."""
    for factor, name in ((BYTES_PER_GIB, "GiB"), (BYTES_PER_MIB, "MiB"), (BYTES_PER_KIB, "KiB")):
        if size_bytes >= factor:
            return f"{_significant(size_bytes / factor, 3)} {name}"
    return f"{size_bytes:.0f} B"


def format_duration(duration_s: float) -> str:
    """Write a duration for a person: ``850 ms``, ``12.4 s``, ``3 min 05 s``, ``2 h 10 min``."""
    if duration_s < 60:
        return format_si(duration_s, "s")
    if duration_s < 3600:
        minutes, seconds = divmod(round(duration_s), 60)
        return f"{minutes} min {seconds:02d} s"
    hours, minutes = divmod(round(duration_s / 60), 60)
    return f"{hours} h {minutes:02d} min"


def _significant(value: float, digits: int) -> str:
    before_point = len(str(int(abs(value))))
    return f"{value:.{max(0, digits - before_point)}f}"
