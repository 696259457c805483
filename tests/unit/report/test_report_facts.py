"""What a report says: methods, derived figures, names, and the word beside every estimate."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from llem_core.config.user import ElectricityConfig, load_user_config
from llem_core.errors import ConfigError
from llem_report.facts.document import document
from llem_report.facts.electricity import derive
from llem_report.facts.entries import entries, shortened
from llem_report.facts.methods import bibtex, methods
from llem_report.facts.plain import plain
from llem_report.facts.tables import configurations
from llem_report.page.markdown import escaped, markdown
from llem_report.sources.detail import choose
from llem_report.sources.gather import gather


def facts_of(*folders: Path, electricity: ElectricityConfig | None = None) -> str:
    material = gather(folders)
    found = entries(material)
    details = choose([(entry.name, entry.runs) for entry in found])
    return markdown(document(material, found, details, electricity))


def test_the_methods_paragraph_has_the_numbers(kinds: Path) -> None:
    (source,) = gather([kinds / "study"]).sources
    text = methods(source)
    for part in (
        "LLenergyMeasure 0.1.0",
        "a fresh process on Simulated card",
        "4 cycles were run in shuffled order with pauses of 1 min 00 s between experiments",
        "a baseline of 10 s with the model loaded",
        "read through NVML, with edges aligned",
        "covers GPU boards and no other part",
        "is at most 0.40 % for comparisons on one card, and 5.00 % for absolute joules",
        "Study design 0123456789abcdef",
    ):
        assert part in text


def test_pauses_that_nothing_tells_are_not_called_none(kinds: Path) -> None:
    (source,) = gather([kinds / "interrupted"]).sources
    assert source.protocol is not None
    assert source.protocol.cycle_gap_seconds is None
    assert "in an unknown order with pauses of unknown length" in methods(source)
    text = facts_of(kinds / "interrupted")
    assert re.search(r"pauses\W+not known", text)
    assert re.search(r"2, order not known", text)
    assert "0 s between" not in text


def test_the_methods_of_an_estimate_and_of_a_load_say_what_they_are(kinds: Path) -> None:
    (estimated,) = gather([kinds / "estimated"]).sources
    assert "Energy was not measured: it is estimated by a model" in methods(estimated)
    (none,) = gather([kinds / "no-energy"]).sources
    assert "Energy was not measured." in methods(none)
    (served,) = gather([kinds / "served"]).sources
    assert "a closed load (1, 4, 16 requests in flight)" in methods(served)


def test_no_estimate_stands_without_the_word(kinds: Path) -> None:
    text = facts_of(kinds / "estimated")
    shown = [line for line in text.splitlines() if re.search(r"\d [kmµ]?[JW]( |$)", line)]
    assert len(shown) >= 6
    others = [line for line in shown if "estimated" not in line.lower()]
    assert [line.split(",")[0] for line in others] == ["| GPU 0 | Simulated card"]  # its limit


def test_bibtex_names_the_tool_and_nothing_from_a_result_acts_in_it() -> None:
    assert "author = {{The LLenergyMeasure developers}}" in bibtex(["0.1.0"])
    hostile = bibtex(["}\\input{x}%$"])
    assert hostile.count("{") == hostile.count("}")
    assert "\\input" not in hostile


def test_emissions_and_cost_are_derived_and_say_from_what(kinds: Path) -> None:
    found = entries(gather([kinds / "experiment"]))
    energy = found[0].energy
    assert energy is not None
    given = ElectricityConfig(
        carbon_intensity_g_per_kwh=400, price_per_kwh=0.25, currency="EUR", pue=1.5
    )
    derived = derive(found, given)
    assert derived is not None
    kwh = energy.mean * 1e6 / 3.6e6 * 1.5
    assert derived.rows[0].energy_kwh == pytest.approx(kwh)
    assert derived.rows[0].co2e_g == pytest.approx(400 * kwh)
    assert derived.rows[0].cost == pytest.approx(0.25 * kwh)
    assert "Derived, not measured" in derived.inputs[0]
    assert (
        "400 g CO2e per kWh and a price of 0.25 EUR per kWh and a PUE of 1.5" in derived.inputs[0]
    )
    text = facts_of(kinds / "experiment", electricity=given)
    assert "## Emissions and cost (derived)" in text


def test_without_electricity_or_energy_nothing_is_derived(kinds: Path) -> None:
    found = entries(gather([kinds / "experiment"]))
    assert derive(found, None) is None
    assert derive(found, ElectricityConfig(pue=1.2)) is None
    none = entries(gather([kinds / "no-energy"]))
    assert derive(none, ElectricityConfig(price_per_kwh=1)) is None


def test_wrong_electricity_is_an_error_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("output: x\nelectricity:\n  carbon_intensity_g_per_kwh: -3\n")
    with pytest.raises(ConfigError, match=r"config\.yaml:3.*electricity\.carbon_intensity"):
        load_user_config(file)
    file.write_text("electricity: {pue: 0.5}\n")
    with pytest.raises(ConfigError, match=r"electricity\.pue"):
        load_user_config(file)


def test_names_lose_what_does_not_tell_them_apart() -> None:
    assert shortened(["pytorch.batch_size=1, precision=bf16"]) == ["batch_size=1, precision=bf16"]
    both = ["pytorch.batch_size=1", "vllm.batch_size=1"]
    assert shortened(both) == both


def test_ties_are_marked_in_the_table(kinds: Path) -> None:
    found = entries(gather([kinds / "long"]))
    tied = [e for e in found if e.summary.indistinguishable_from_previous]
    assert tied
    table = configurations(found)
    ranks = [row[1] for row in table.rows]
    assert [rank.startswith("≈") for rank in ranks] == [e in tied for e in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a|b *c* `d`", r"a\|b \*c\* \`d\`"),
        ("<script>", "&lt;script&gt;"),
        ("@team", "@<!-- -->team"),
        ("one\ntwo", "one two"),
        ("- a", r"\- a"),
        ("see http://x.y", r"see http\://x.y"),
        ("\x1b[31m", r"\\u001b\[31m"),
    ],
)
def test_nothing_acts_in_markdown(text: str, expected: str) -> None:
    assert escaped(text) == expected


def test_json_has_every_run_and_is_json(kinds: Path) -> None:
    material = gather([kinds / "study", kinds / "markup"])
    found = entries(material)
    facts = plain(document(material, found, [], None), material.sources)
    again = json.loads(json.dumps(facts))
    assert len(again["runs"]) == 32 + 6
    assert again["configurations"][0]["settings"]["pytorch.batch_size"] == "64"
    assert {run["energy_method"] for run in again["runs"]} == {"counter"}


def test_one_run_of_each_of_a_few_configurations_is_shown_in_detail(kinds: Path) -> None:
    found = entries(gather([kinds / "study"]))
    details = choose([(entry.name, entry.runs) for entry in found])
    assert len(details) == 6
    assert [details[0].name, details[-1].name] == [found[0].name, found[-1].name]
    gone = [replace(run, folder=Path("gone")) for run in found[0].runs]
    assert choose([("gone", gone)]) == []
