"""The page: nothing from a result acts in it, and each plot has its data."""

from __future__ import annotations

import base64
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import altair as alt
import pytest
from llem_report import write_report
from llem_report.facts.entries import entries
from llem_report.plots.all import Plots, draw_all
from llem_report.plots.drawing import draw
from llem_report.plots.figure import Figure
from llem_report.plots.grid import varying
from llem_report.plots.scales import short_names, span, values
from llem_report.plots.theme import themed
from llem_report.plots.tradeoff import front, tradeoffs
from llem_report.sources.detail import choose
from llem_report.sources.gather import gather
from llem_report.testing.study import MadeStudy, sweep, write_study

MARKUP = "<script>document.title='ran'</script>"
WITH_CONTENT = frozenset({"script", "iframe", "object", "embed", "img", "base", "form"})


class Page(HTMLParser):
    """Collects what a browser would see."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="session")
def page_of(kinds: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    folder = tmp_path_factory.mktemp("pages")

    @cache
    def make(kind: str) -> str:
        return write_report([kinds / kind], "html", folder / f"{kind}.html")[0]

    return make


@pytest.fixture(scope="session")
def plots(kinds: Path) -> Plots:
    """Plots of a study, held against Vega-Lite's schema."""
    material = gather([kinds / "nodes"])
    found = entries(material)
    details = choose([(entry.name, entry.runs) for entry in found])
    return draw_all(material.sources, found, details, validate=True)


def test_markup_in_every_string_is_text(page_of: Callable[[str], str]) -> None:
    page = Page(page_of("markup"))
    assert not [tag for tag, _ in page.tags if tag in WITH_CONTENT]
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert page.text.count(MARKUP) > 100


def test_the_page_may_load_nothing_and_links_to_itself_alone(page_of: Callable[[str], str]) -> None:
    page = Page(page_of("markup"))
    policy = next(a for t, a in page.tags if t == "meta" and "http-equiv" in a)
    assert str(policy["content"]).startswith("default-src 'none';")
    assert "script-src" not in str(policy["content"])
    addresses = [v or "" for _, a in page.tags for k, v in a.items() if k in {"href", "src"}]
    assert not [a for a in addresses if not a.startswith(("#", "data:"))]


def test_identifiers_are_unique_and_links_lead_somewhere(page_of: Callable[[str], str]) -> None:
    page = Page(page_of("markup"))
    names = [a["id"] for _, a in page.tags if "id" in a]
    assert len(names) == len(set(names))
    targets = {str(a["href"])[1:] for t, a in page.tags if t == "a" and str(a["href"])[0] == "#"}
    assert targets <= set(names)
    described = {str(v) for _, a in page.tags for k, v in a.items() if k.startswith("aria-desc")}
    assert described <= set(names)


def test_a_study_has_its_plots_each_with_files_and_a_table(plots: Plots) -> None:
    figures = [
        f for part in (plots.comparison, plots.latency, plots.time, plots.trust) for f in part
    ]
    names = {figure.name for figure in figures}
    assert names >= {
        *("energy-by-configuration", "speed-by-configuration", "energy-against-throughput"),
        *("energy-against-latency", "map-1", "time-to-first-token", "inter-token-latency"),
        *("end-to-end-latency", "power-1", "uncertainty", "warm-up", "cycles-1", "nodes-1"),
    }
    assert len(names) == len(figures)
    for figure in figures:
        ET.fromstring(figure.svg)
        assert len(figure.csv().splitlines()) == len(figure.rows) + 1 > 1
        assert figure.caption


def test_a_load_has_its_series(page_of: Callable[[str], str]) -> None:
    page = page_of("served")
    assert 'id="load-1"' in page
    assert "Requests in flight and waiting" in page


def test_estimates_carry_the_word_in_the_plots(kinds: Path) -> None:
    material = gather([kinds / "mixed"])
    found = entries(material)
    drawn = draw_all(material.sources, found, choose([(e.name, e.runs) for e in found]))
    assert "some estimated" in drawn.comparison[0].title
    power = [figure.title for figure in drawn.time if figure.name.startswith("power")]
    assert sum("(estimated)" in title for title in power) == 1


def test_a_failed_study_and_one_without_energy_make_pages(page_of: Callable[[str], str]) -> None:
    assert "OutOfMemoryError" in page_of("failed")
    assert "No energy was measured" in Page(page_of("no-energy")).text


def test_a_drawing_is_shapes_and_text_alone() -> None:
    hostile = [{"x": 1, "n": MARKUP}, {"x": 2, "n": '"><a xlink:href="javascript:1">'}]
    base = alt.Chart(values(hostile)).encode(x="x:Q", color="n:N")
    picture = base.mark_image(url="data:image/png;base64,aGk=", width=9, height=9)
    svg = draw(alt.layer(base.mark_point(), picture), "it")
    root = ET.fromstring(svg)
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert tags <= {"svg", "g", "path", "line", "rect", "text", "tspan", "defs", "clipPath"}
    keys = {key for element in root.iter() for key in element.attrib}
    assert not [key for key in keys if "href" in key or key.startswith(("on", "aria", "role"))]
    assert MARKUP in {element.text for element in root.iter()}
    assert "var(--ink)" in themed(svg)
    assert "var(" not in svg


def test_no_text_of_a_csv_is_a_formula() -> None:
    figure = Figure(
        "n", "t", "c", "", ["name"], [["=HYPERLINK(1)"], ["@x"], ["-1"], [-1.5], ["ok"]]
    )
    assert figure.csv().splitlines() == ["name", "'=HYPERLINK(1)", "'@x", "'-1", "-1.5", "ok"]


def test_files_in_the_page_are_whole(page_of: Callable[[str], str]) -> None:
    page = Page(page_of("estimated"))
    links = [attributes for tag, attributes in page.tags if "download" in attributes]
    assert len(links) > 8
    for link in links:
        content = base64.b64decode(str(link["href"]).partition(";base64,")[2], validate=True)
        if str(link["download"]).endswith("svg"):
            ET.fromstring(content)
        else:
            assert b"\n" in content


def test_the_front_is_what_nothing_beats_in_both() -> None:
    points = [(10.0, 1.0), (20.0, 2.0), (15.0, 3.0), (30.0, 3.0)]
    assert front(points, more_is_better=True) == [0, 1, 3]
    assert front(points, more_is_better=False) == [0]
    assert front([(1.0, 1.0), (1.0, 1.0)], more_is_better=True) == [0]


def test_every_number_in_a_trade_off_is_in_the_table_that_is_printed_with_it(
    tmp_path: Path,
) -> None:
    sizes, lengths = [1, 4, 16, 64], [32, 64, 96, 128, 256, 384, 512]
    found = sweep({"pytorch.batch_size": sizes, "max_output_tokens": lengths})
    write_study(MadeStudy("many", found, 1), tmp_path / "many", raw_of=1)
    for figure in tradeoffs(entries(gather([tmp_path / "many"]))):
        assert figure.shown is not None
        assert len(figure.shown[1]) < len(figure.rows) == 28
        listed = {str(row[0]) for row in figure.shown[1]}
        drawn = re.findall(r">(\d+)</text>", figure.svg)
        assert figure.key
        assert listed
        assert listed <= set(drawn)
        assert {row[4] for row in figure.shown[1]} == {"yes"}


def test_an_axis_is_never_below_zero_and_wide_ranges_are_logarithmic() -> None:
    assert span([1.0, 2.0], also=[-5.0, 90.0], from_zero=True).low == 0
    assert span([1.0, 2.0], also=[90.0]).high < 10
    wide = span([1.0, 1000.0], also=[-1.0])
    assert wide.log
    assert 0 < wide.low <= 1
    assert span([5.0]).low < 5 < span([5.0]).high
    assert span([0.0]).high > 0


def test_long_names_keep_both_ends_and_stay_apart() -> None:
    names = [f"{'x' * 60}{end}" for end in "ab"] + ["y" * 60, "y" * 61]
    short = short_names(names)
    assert len(set(short)) == 4
    assert short[0].endswith("a")
    assert max(map(len, short)) < 40


def test_settings_that_change_together_are_one_dimension(kinds: Path) -> None:
    found = varying(entries(gather([kinds / "study"])))
    assert {path: len(v) for path, v in found.items()} == {"pytorch.batch_size": 4, "precision": 2}
    assert found["pytorch.batch_size"] == ["1", "4", "16", "64"]


def test_few_words_of_a_page_are_for_machines(page_of: Callable[[str], str]) -> None:
    assert not re.search(r"Undefined|None\b|nan\b|\bdict\(", Page(page_of("experiment")).text)
