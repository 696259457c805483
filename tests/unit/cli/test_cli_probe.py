"""``llem config --probe``: what a sampler measured of its sensors, or why there is nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace

import pytest
from llem_cli.main import execute
from llem_core.contracts import Availability, SensorProbe
from llem_core.errors import EnergyError
from llem_core.plugins import Plugins
from llem_core.testing import scripted_sampler

WithPlugins = Callable[..., AbstractContextManager[Plugins]]
FOUND = SensorProbe(
    "GPU-1",
    "Some GPU",
    {"counter_refresh_ms": 20.1, "power_window_ms": None},
    {"power_window_ms": "it takes a load"},
    ("driver 1",),
    "/kept/here.json",
)


def test_what_was_measured_and_what_was_not(
    with_plugins: WithPlugins, capfd: pytest.CaptureFixture[str]
) -> None:
    with with_plugins(samplers=[replace(scripted_sampler(), probe=lambda: [FOUND])]):
        assert execute(["config", "--probe"]) == 0
        text = capfd.readouterr().out
        assert execute(["config", "--probe", "--json"]) == 0
        facts = json.loads(capfd.readouterr().out)
    assert "counter refresh       20.1 ms" in text
    assert "power window          not measured: it takes a load" in text
    assert "/kept/here.json" in text
    (probe,) = facts["probes"]["scripted_meter"]
    assert probe["values"] == {"counter_refresh_ms": 20.1, "power_window_ms": None}


def test_where_nothing_can_be_probed(
    with_plugins: WithPlugins, capfd: pytest.CaptureFixture[str]
) -> None:
    with with_plugins(samplers=[scripted_sampler()]):
        assert execute(["config", "--probe"]) == 1
    assert "no installed sampler has sensors to measure" in capfd.readouterr().err
    blind = scripted_sampler(available=Availability(False, "no driver."))
    with with_plugins(samplers=[replace(blind, probe=lambda: [FOUND])]):
        assert execute(["config", "--probe"]) == 1
    assert "scripted_meter: no driver)" in capfd.readouterr().err


def test_a_probe_that_fails_says_whose_it_was(
    with_plugins: WithPlugins, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail() -> list[SensorProbe]:
        raise EnergyError("the GPU does not answer")

    with with_plugins(samplers=[replace(scripted_sampler(), probe=fail)]):
        assert execute(["config", "--probe"]) == 1
    assert "scripted_meter could not be probed: the GPU does not answer" in capfd.readouterr().err
