"""Coverage factors of 95 % for few degrees of freedom."""

from __future__ import annotations

import bisect

NORMAL = 2.0
"""For infinitely many degrees of freedom, as usual: JCGM 100:2008, 6.3.3."""

_TABLE = (
    *((1, 12.71), (2, 4.31), (3, 3.19), (4, 2.78), (5, 2.58), (6, 2.45), (7, 2.37), (8, 2.31)),
    *((9, 2.27), (10, 2.23), (12, 2.18), (14, 2.15), (16, 2.12), (18, 2.11), (20, 2.09)),
    *((25, 2.06), (30, 2.05), (40, 2.03), (60, 2.01), (120, NORMAL)),
)
"""Degrees of freedom to Student's t for 95 % of both sides (JCGM 100:2008, table G.2), rounded
up."""


def coverage_factor(degrees_of_freedom: float | None) -> float:
    """k for a coverage of 95 %.

    Degrees of freedom are rounded down to the table's next entry, as G.6.4 allows, so that k is
    never too small; below 1 they count as 1.

    Args:
        degrees_of_freedom: ``None`` is infinite.
    """
    if degrees_of_freedom is None:
        return NORMAL
    # Sums of squares are off by their last digits, and 4 must not be read as 3.999….
    place = bisect.bisect_right(_TABLE, degrees_of_freedom + 1e-9, key=lambda row: row[0])
    return _TABLE[max(place - 1, 0)][1]
