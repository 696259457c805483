"""Fills the page's templates; everything from a result is escaped there."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from llem_report.sources.material import Material


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("llem_report.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def page(material: Material) -> str:
    """The whole page."""
    return _environment().get_template("page.html").render(material=material)
