"""Relative links and their anchors lead somewhere; external ones are listed, not fetched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, anchors, links, name

EXTERNAL = ("https://", "http://", "mailto:")


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_relative_links_lead_somewhere(page: Path) -> None:
    broken = []
    for line, target in links(page):
        if target.startswith(EXTERNAL):
            continue
        path, _, anchor = target.partition("#")
        goal = (page.parent / path).resolve() if path else page
        if not goal.exists():
            broken.append(f"line {line}: there is no {path}")
        elif not goal.is_relative_to(ROOT):
            broken.append(f"line {line}: {path} is outside the repository")
        elif anchor and anchor not in anchors(goal):
            broken.append(f"line {line}: {path or 'this page'} has no heading #{anchor}")
    assert not broken, f"{name(page)}: {'; '.join(broken)}"


def test_external_links_are_safe_and_listed(tell: Callable[[str], None]) -> None:
    found: dict[str, str] = {}
    for page in PAGES:
        for line, target in links(page):
            if target.startswith(EXTERNAL):
                found.setdefault(target, f"{name(page)}:{line}")
    listed = [f"  {target}  ({where})" for target, where in sorted(found.items())]
    tell("\n".join([f"external links of the documentation, not fetched: {len(found)}", *listed]))
    assert not [target for target in found if target.startswith("http://")]
