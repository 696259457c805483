"""From a chart to an SVG that can stand in a page or alone."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import Any

import altair as alt
import vl_convert as vlc

from llem_report.plots.theme import CONFIG, shown_size

_SVG = "http://www.w3.org/2000/svg"
_KEPT = frozenset(
    {"svg", "g", "path", "line", "rect", "text", "tspan", "defs", "clipPath", "circle"}
    | {"linearGradient", "stop"}
)
"""Elements that a drawing is made of; nothing else gets into a page."""
_DROPPED = re.compile(r"^(aria-.*|role|on.*|class|pointer-events|.*href)$")
_REFERENCE = re.compile(r"url\(#([\w-]+)\)")

ET.register_namespace("", _SVG)


def draw(chart: alt.TopLevelMixin, name: str) -> str:
    """Render a chart, and keep nothing but shapes and text of what comes out.

    Args:
        chart: the chart, with its data in it.
        name: of the figure; identifiers in the drawing begin with it.
    """
    spec: dict[str, Any] = chart.to_dict()
    spec["config"] = CONFIG
    text = vlc.vegalite_to_svg(spec, vl_version=_version(), allowed_base_urls=[])
    root = ET.fromstring(text)  # noqa: S314 - it was written by the renderer just now
    _clean(root, name)
    root.set("viewBox", f"0 0 {root.get('width')} {root.get('height')}")
    return ET.tostring(root, encoding="unicode")


def _version() -> str:
    """The renderer's Vega-Lite that is nearest to the one that charts are written for."""
    wanted = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
    known = vlc.get_vegalite_versions()
    return wanted if wanted in known else str(known[-1])


def _clean(element: ET.Element, name: str) -> None:
    for child in list(element):
        if child.tag.removeprefix(f"{{{_SVG}}}") in _KEPT:
            _clean(child, name)
        else:
            element.remove(child)
    for key, value in list(element.attrib.items()):
        if _DROPPED.match(key):
            del element.attrib[key]
        elif key == "font-size":
            element.set(key, shown_size(value))
        elif key == "id":
            element.set(key, f"{name}-{value}")
        elif "url(" in value:
            element.set(key, _REFERENCE.sub(rf"url(#{name}-\1)", value))
