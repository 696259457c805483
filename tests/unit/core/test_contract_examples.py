"""The examples in the contracts' docstrings are whole plugins: each is run as it stands."""

from __future__ import annotations

import inspect
import textwrap
import time
import types
from pathlib import Path
from typing import Any

import llenergymeasure
import pytest
from llem_core.contracts import (
    EnergySampler,
    InferenceBackend,
    ResultSink,
    SamplerSettings,
    ServingBackend,
    StudyService,
)
from llem_core.contracts.config import Section
from llem_core.plugins import Plugins, use_plugins
from llem_core.sinks import hooks as core_sinks
from llem_core.testing import (
    BackendContract,
    FakePlugin,
    MemorySink,
    SamplerContract,
    ServingContract,
    SinkContract,
    run_contract,
    scripted_backend,
)
from llenergymeasure import run_experiment

FAST = {"model": "m", "n": 2, "baseline": {"duration_seconds": 0.1}}


def example(documented: type) -> types.ModuleType:
    """The code block of a class's docstring as a module."""
    text = inspect.cleandoc(documented.__doc__ or "")
    block = text.split("::\n", 1)[1]
    lines = []
    for line in block.splitlines():
        if line and not line.startswith("    "):
            break
        lines.append(line)
    module = types.ModuleType(documented.__name__)
    exec(textwrap.dedent("\n".join(lines)), module.__dict__)
    return module


def test_the_serving_example_keeps_its_contract_and_measures() -> None:
    plugin = example(ServingBackend)
    given = {"plugin": plugin, "missing_model": None}
    outcomes = run_contract(type("Tried", (ServingContract,), given))
    assert {code: o.message for code, o in outcomes.items() if o.state == "failed"} == {}
    plugins = Plugins()
    plugins.register(plugin)
    with use_plugins(plugins):
        result = run_experiment(**FAST, backend="parrot", max_output_tokens=3)
    assert result.output_tokens == 6
    assert result.time_to_first_token is not None


def test_the_service_example_starts_and_ends() -> None:
    service = example(StudyService).WordServer()
    (pid,) = service.start()["process_ids"]
    assert Path(f"/proc/{pid}").exists()
    service.end()
    assert not Path(f"/proc/{pid}").exists()


def test_the_backend_example_measures() -> None:
    plugins = Plugins()
    plugins.register(example(InferenceBackend))
    with use_plugins(plugins):
        result = run_experiment(**FAST, backend="echo", max_output_tokens=3)
    assert result.output_tokens == 6
    assert result.unavailable["time_to_first_token"] == "echo has no token times"


def test_the_sampler_example_reads_its_meter(tmp_path: Path) -> None:
    module = example(EnergySampler)
    (spec,) = module.llem_samplers()
    assert not spec.availability().usable
    module.METER = tmp_path / "energy_j"
    module.METER.write_text("10")
    assert spec.availability().usable
    sampler = spec.create(SamplerSettings(0.1))
    sampler.start()
    sampler.begin("w")
    module.METER.write_text("17.5")
    assert sampler.end("w").domains[0].energy_j == pytest.approx(7.5)
    sampler.stop()


def test_the_sink_example_writes_its_line(tmp_path: Path) -> None:
    plugins = Plugins()
    plugins.register(core_sinks)
    plugins.register(FakePlugin(backends=[scripted_backend()]))
    plugins.register(example(ResultSink))
    with use_plugins(plugins):
        run_experiment(**FAST, backend="scripted", output_dir=tmp_path)
    (line,) = tmp_path.glob("*/line.txt")
    assert line.read_text() == "None J per token\n"


def failures(contract: type, **given: Any) -> dict[str, str]:
    outcomes = run_contract(type("Tried", (contract,), given))
    return {code: o.message for code, o in outcomes.items() if o.state == "failed"}


def test_the_examples_keep_their_contracts(tmp_path: Path) -> None:
    meter = example(EnergySampler)
    meter.METER = tmp_path / "energy_j"
    assert failures(SamplerContract, plugin=meter) == {}
    meter.METER.write_text("0")

    def wait(duration_s: float) -> None:
        started_s = time.monotonic()
        time.sleep(duration_s)
        energy_j = 90.0 * (time.monotonic() - started_s)
        meter.METER.write_text(str(float(meter.METER.read_text()) + energy_j))

    assert failures(SamplerContract, plugin=meter, wait=wait, power_w=(50, 120)) == {}
    assert failures(BackendContract, plugin=example(InferenceBackend), missing_model=None) == {}
    assert failures(SinkContract, plugin=example(ResultSink)) == {}


def test_the_section_example_is_a_section() -> None:
    assert example(Section).MeterConfig().path == "/run/meter"


def test_the_stable_names_are_there_and_documented() -> None:
    for name in llenergymeasure.__all__:
        found = getattr(llenergymeasure, name)
        assert name == "__version__" or found.__doc__, name
    with pytest.raises(AttributeError):
        llenergymeasure.no_such_name  # noqa: B018
    assert MemorySink.__doc__
