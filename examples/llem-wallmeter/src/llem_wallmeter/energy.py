"""From a meter's readings to the energy of a window, and how far to trust it.

Between two readings power is taken as constant (a running total, or mean power) or as changing
evenly (instant power). The terms of the uncertainty budget are standard uncertainties; a limit
of error a stands for a rectangular distribution, a/√3 (JCGM 100:2008, 4.3.7):

- ``edges``: a window begins and ends between two readings. If power stepped there, the part of
  that interval inside the window was at the power found further inside; the difference is the
  limit of error.
- ``sampling`` (instant power only): each value stands for its interval. Half the mean square of
  the differences of neighbours is the variance of one value.
- ``quantisation``: from the resolution; each power, or both ends of a running total.
- ``alignment``: a shift of the window by the clock's uncertainty, times the range of power.
- ``gain`` and ``offset``: the data sheet's limits of error; the same in every run.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from llem_core.contracts import Growth, UncertaintyComponent
from llem_core.meters import edges, gain

from llem_wallmeter.config import WallMeterConfig

_LIMIT = 1 / math.sqrt(3)
_STEP = 1 / math.sqrt(12)
_PERCENT = 0.01


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading: monotonic time in seconds, and power (W) or a running total (J)."""

    time_s: float
    value: float


@dataclass(frozen=True, slots=True)
class Piece:
    """Time between two readings, with the power at its ends (W)."""

    start_s: float
    end_s: float
    start_w: float
    end_w: float

    @property
    def length_s(self) -> float:
        """Its length in seconds."""
        return self.end_s - self.start_s

    def power_w(self, time_s: float) -> float:
        """Power at a moment in it."""
        share = (time_s - self.start_s) / self.length_s
        return self.start_w + (self.end_w - self.start_w) * share

    def energy_j(self, start_s: float, end_s: float) -> float:
        """Energy of the part of it that lies between two moments."""
        start_s, end_s = max(start_s, self.start_s), min(end_s, self.end_s)
        if end_s <= start_s:
            return 0.0
        return (end_s - start_s) * (self.power_w(start_s) + self.power_w(end_s)) / 2


def pieces_of(readings: Sequence[Reading], config: WallMeterConfig) -> list[Piece]:
    """The times between neighbouring readings, which are in order."""
    return [_piece(before, after, config) for before, after in pairwise(readings)]


def energy_of(pieces: Sequence[Piece], started_s: float, ended_s: float) -> float:
    """Energy of a window that the pieces cover (J)."""
    return math.fsum(piece.energy_j(started_s, ended_s) for piece in pieces)


def uncertainty_of(
    pieces: Sequence[Piece], started_s: float, ended_s: float, config: WallMeterConfig
) -> tuple[UncertaintyComponent, ...]:
    """The budget of a window that the pieces cover, two of them at least."""
    edges_j = math.hypot(
        _edge(pieces[0], pieces[1].start_w, pieces[0].end_s - started_s, config),
        _edge(pieces[-1], pieces[-2].end_w, ended_s - pieces[-1].start_s, config),
    )
    powers = [power for piece in pieces for power in (piece.start_w, piece.end_w)]
    energy_j = energy_of(pieces, started_s, ended_s)
    sampling_j = _sampling(pieces) if _is_instant(config) else 0.0
    alignment_j = config.clock_error_seconds * (max(powers) - min(powers))
    # A running total is rounded at its two ends, powers are rounded one by one.
    rounded: Growth = "root" if config.quantity == "power_w" else "constant"
    terms = (
        edges(edges_j),
        UncertaintyComponent("sampling", sampling_j, growth="root"),
        UncertaintyComponent("quantisation", _quantisation(pieces, config), growth=rounded),
        UncertaintyComponent("alignment", alignment_j, common_to_devices=True),
    )
    return (
        *terms,
        gain(energy_j, config.accuracy_percent * _PERCENT),
        # What the meter tells at no power is in the baseline too, and no share of the energy.
        UncertaintyComponent(
            "offset",
            config.accuracy_offset_w * (ended_s - started_s) * _LIMIT,
            growth="linear",
            common_to_runs=True,
        ),
    )


def resolution_of(pieces: Sequence[Piece], config: WallMeterConfig) -> float | None:
    """Smallest step of the energy (J): of one running total, or of one power over its time."""
    if config.resolution is None:
        return None
    if config.quantity == "power_w":
        return config.resolution * min(piece.length_s for piece in pieces)
    return to_base(config.resolution, config)


def to_base(value: float, config: WallMeterConfig) -> float:
    """A line's figure in watts or joules (1 Wh = 3600 J)."""
    return value * 3600.0 if config.quantity == "energy_wh" else value


def _is_instant(config: WallMeterConfig) -> bool:
    return config.quantity == "power_w" and config.power_is == "instant"


def _piece(before: Reading, after: Reading, config: WallMeterConfig) -> Piece:
    length_s = after.time_s - before.time_s
    if config.quantity != "power_w":
        mean_w = (after.value - before.value) / length_s
        return Piece(before.time_s, after.time_s, mean_w, mean_w)
    first_w = before.value if _is_instant(config) else after.value
    return Piece(before.time_s, after.time_s, first_w, after.value)


def _edge(piece: Piece, further_in_w: float, inside_s: float, config: WallMeterConfig) -> float:
    if not _is_instant(config):
        return abs(further_in_w - piece.end_w) * inside_s * _LIMIT
    # A step anywhere between the two values errs by this much at the most.
    worst_s = inside_s * (1 - inside_s / (2 * piece.length_s))
    return abs(piece.end_w - piece.start_w) * worst_s * _LIMIT


def _sampling(pieces: Sequence[Piece]) -> float:
    steps = [piece.end_w - piece.start_w for piece in pieces]
    variance = math.fsum(step * step for step in steps) / (2 * len(steps))
    return math.sqrt(variance * math.fsum(piece.length_s**2 for piece in pieces))


def _quantisation(pieces: Sequence[Piece], config: WallMeterConfig) -> float:
    if config.resolution is None:
        return 0.0
    step = to_base(config.resolution, config) * _STEP
    if config.quantity != "power_w":
        return step * math.sqrt(2)
    return step * math.sqrt(math.fsum(piece.length_s**2 for piece in pieces))
