"""What the summary says of results with a meter, with an estimate and without energy."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from llem_cli.show.summary import summarise
from llem_core.api import run_experiment
from llem_core.contracts import Availability, SamplerSpec
from llem_core.plugins import Plugins
from llem_core.results.experiment import ExperimentResult
from llem_core.testing import scripted_sampler

WithPlugins = Callable[..., AbstractContextManager[Plugins]]
BASELINE = {"duration_seconds": 0.5}
ENERGY_FIGURE = re.compile(r"\d [a-zµ]?[JW]\b", re.IGNORECASE)


@pytest.fixture
def result_with(with_plugins: WithPlugins) -> Callable[..., ExperimentResult]:
    def run(*samplers: SamplerSpec, **fields: object) -> ExperimentResult:
        with with_plugins(samplers=samplers):
            return run_experiment(
                model="any",
                backend="scripted",
                n=3,
                max_output_tokens=4,
                scripted={"token_time_s": 0.001},
                **{"baseline": {"enabled": False}, **fields},
            )

    return run


def block(text: str, title: str) -> list[str]:
    """Lines of one block, its heading first."""
    (found,) = [part for part in text.split("\n\n") if part.startswith(title)]
    return found.splitlines()


def rows(lines: list[str]) -> list[str]:
    """Rows with the lines that they were wrapped to put together."""
    joined: list[str] = []
    for line in lines:
        if line.startswith(" " * 24):
            joined[-1] += f" {line.strip()}"
        else:
            joined.append(line.strip())
    return joined


def is_energy(text: str) -> bool:
    return ENERGY_FIGURE.search(text) is not None


Results = Callable[..., ExperimentResult]


def test_measured(result_with: Results) -> None:
    text = summarise(result_with(scripted_sampler(), baseline=BASELINE))
    energy = rows(block(text, "Energy"))
    assert energy[0].split(maxsplit=1)[1] == "measured, energy counter; source: scripted_meter"
    assert "estimate" not in text.lower()
    assert any(
        re.fullmatch(
            r"uncertainty +± \S+ m?J between runs on one device \(95%, mostly edges\) ± \S+ m?J "
            r"as absolute joules \(95%, mostly gain\)",
            row,
        )
        for row in energy
    )
    assert any(re.fullmatch(r"mean power +50\.0 W", row) for row in energy)
    assert any(re.fullmatch(r"idle, model loaded +50\.0 W ± \d+ mW \(1 σ\)", row) for row in energy)
    assert any(row.startswith("adjusted total") for row in energy)


def test_a_baseline_of_another_experiment_says_so_and_how_old_it_is(result_with: Results) -> None:
    result = result_with(scripted_sampler(), baseline=BASELINE)
    assert "by another experiment" not in summarise(result)
    assert result.loaded_baseline is not None
    cached = result.loaded_baseline.model_copy(update={"cached": True, "age_s": 754.0})
    text = summarise(result.model_copy(update={"loaded_baseline": cached}))
    (row,) = [r for r in rows(block(text, "Energy")) if r.startswith("idle, model loaded")]
    assert row.endswith("measured 12 min 34 s before by another experiment")


def test_estimated_in_every_row_with_an_energy_or_a_power(result_with: Results) -> None:
    text = summarise(result_with(scripted_sampler(method="estimated"), baseline=BASELINE))
    energy = rows(block(text, "Energy"))
    assert energy[0].split(maxsplit=1)[1].startswith("ESTIMATED by a model, not measured")
    warnings = "\n".join(block(text, "Warnings"))
    figures = [row for row in rows(text.replace(warnings, "").splitlines()) if is_energy(row)]
    assert len(figures) >= 8
    assert [row for row in figures if "(estimated)" not in row] == []
    assert "are estimated" in block(text, "Warnings")[0]
    assert "energy counter" not in text


def test_each_domain_says_how_it_was_come_by(result_with: Results) -> None:
    domains = (("cpu:0", "cpu", 50.0), ("ram", "dram", 10.0))
    energy = rows(block(summarise(result_with(scripted_sampler(domains=domains))), "Energy"))
    assert any(re.fullmatch(r"cpu:0 +\S+ m?J \(measured, counter\)", row) for row in energy)
    assert any(re.fullmatch(r"ram +\S+ m?J \(measured, counter\)", row) for row in energy)


def test_a_device_that_is_not_used_is_named(result_with: Results) -> None:
    domains = (("cpu:0", "cpu", 50.0), ("GPU-9", "gpu", 80.0))
    energy = rows(block(summarise(result_with(scripted_sampler(domains=domains))), "Energy"))
    assert any(re.fullmatch(r"not in the total +GPU-9", row) for row in energy)


def test_no_meter_says_why_and_shows_no_energy(result_with: Results) -> None:
    blind = scripted_sampler(available=Availability(False, "there is no wall meter"))
    text = summarise(result_with(blind))
    (energy,) = rows(block(text, "Energy"))
    assert "not measured: " in energy
    assert "there is no wall meter" in energy
    assert not is_energy(text)


def test_energy_turned_off_on_purpose(result_with: Results) -> None:
    text = summarise(result_with(scripted_sampler(), energy={"sampler": None}))
    (energy,) = rows(block(text, "Energy"))
    assert "energy.sampler is null" in energy
    assert "Energy was not measured" not in text


def test_a_broken_reading_is_no_zero(result_with: Results) -> None:
    text = summarise(result_with(scripted_sampler(domains=(("cpu:0", "cpu", None),))))
    (energy,) = rows(block(text, "Energy"))
    assert "not measured: " in energy
    assert "it is broken" in energy


def test_speed_memory_and_identity(result_with: Results) -> None:
    result = result_with()
    text = summarise(result, [Path("results/x/result.json")])
    assert result.measurement_config_hash in text
    speed = rows(block(text, "Speed"))
    assert any(
        re.fullmatch(r"time to first token +p50 1\.00 ms, p95 1\.00 ms, .*", r) for r in speed
    )
    assert any(re.fullmatch(r"output tokens +\S+ tokens/s", row) for row in speed)
    assert "peak                  9.54 MiB" in text
    assert "weights               3.81 MiB" in text
    assert block(text, "Files") == ["Files", "  - results/x/result.json"]


def test_random_weights_are_labelled(result_with: Results) -> None:
    result = result_with()
    random = result.model_record.model_copy(update={"random_weights": True})
    assert "random weights" not in summarise(result)
    assert "any (random weights)" in summarise(result.model_copy(update={"model_record": random}))


def test_long_warnings_are_wrapped_to_the_terminal(
    result_with: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    result = result_with()
    warning = "word " * 40
    text = summarise(result.model_copy(update={"measurement_warnings": [warning.strip()]}))
    lines = block(text, "Warnings")[1:]
    assert lines[0].startswith("  - word")
    assert all(line.startswith("    word") for line in lines[1:])
    assert max(map(len, lines)) <= 60
    assert " ".join(lines).split().count("word") == 40
