"""Colours and type of all plots, on paper, on a bright and on a dark screen."""

from __future__ import annotations

from typing import Any

INK = "#1b2431"
MUTED = "#56616f"
GRID = "#e2e6eb"
BAND = "#e9eef5"
SERIES = ("#2463a6", "#b5521b", "#247a4d", "#86409e", "#8f6d12", "#c23a5c")
"""Enough for the configurations that are drawn in detail; told apart by people who see few colours
together with the names beside them."""
LOW, HIGH = "#e8f0fa", "#1d4f86"
"""Ends of a scale of values."""

_DARK = {
    INK: "#e6eaf0",
    MUTED: "#a4afbd",
    GRID: "#353f4c",
    BAND: "#26313f",
    **dict(
        zip(
            SERIES,
            ("#74b3f2", "#f0a070", "#6ccb95", "#d29ce8", "#dfc065", "#ff8fab"),
            strict=True,
        )
    ),
}
_NAMES = {
    INK: "ink",
    MUTED: "muted",
    GRID: "grid",
    BAND: "band",
    **{color: f"series-{number}" for number, color in enumerate(SERIES, start=1)},
}

WIDTH = 520
"""Of a figure (px): a phone shows it whole at a size that can still be read."""
LABEL_WIDTH = 320
"""The most that a name beside an axis takes (px); what is longer ends in an ellipsis."""
MOST_NAMED = 34
"""Characters of a name in a legend."""

_TEXT = 14
SHOWN_TEXT = 12
"""Text is laid out larger than it is shown (px): which font a reader has is not known here, and the
widest usual one needs that much more room than the one that the renderer measures with."""


def shown_size(size: str) -> str:
    """The size at which a text is shown that was laid out at another one, such as ``14px``."""
    return f"{round(float(size.removesuffix('px')) * SHOWN_TEXT / _TEXT, 1):g}px"


CONFIG: dict[str, Any] = {
    "background": None,
    "padding": {"left": 16, "right": 10, "top": 6, "bottom": 6},
    "font": "system-ui, -apple-system, Segoe UI, Roboto, Helvetica, Arial, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": INK,
        "titleColor": MUTED,
        "tickColor": MUTED,
        "domainColor": MUTED,
        "gridColor": GRID,
        "labelFontSize": _TEXT,
        "titleFontSize": _TEXT,
        "titleFontWeight": "normal",
        "labelLimit": LABEL_WIDTH,
        "labelOverlap": "greedy",
        "labelSeparation": 8,
    },
    "legend": {
        "labelColor": INK,
        "titleColor": MUTED,
        "labelFontSize": _TEXT,
        "titleFontSize": _TEXT,
        "titleFontWeight": "normal",
        "labelLimit": 280,
        "orient": "bottom",
        "columns": 2,
    },
    "title": {"color": INK, "fontSize": _TEXT, "fontWeight": "normal", "anchor": "start"},
    "text": {"color": INK, "fontSize": _TEXT},
    "range": {"category": list(SERIES)},
    "line": {"color": SERIES[0], "strokeWidth": 1.6},
    "point": {"color": SERIES[0]},
    "rule": {"color": SERIES[0]},
    "bar": {"color": SERIES[0]},
}


def themed(svg: str) -> str:
    """The drawing with the page's variables in place of colours of paper."""
    for color, name in _NAMES.items():
        svg = svg.replace(f'"{color}"', f'"var(--{name})"')
    return svg


def variables(*, dark: bool) -> str:
    """CSS that sets the variables of all plots."""
    pairs = [(name, _DARK[color] if dark else color) for color, name in _NAMES.items()]
    return "".join(f"--{name}:{color};" for name, color in pairs)


def color_of(number: int) -> str:
    """Colour of the n-th series, from 0."""
    return SERIES[number % len(SERIES)]
