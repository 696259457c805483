"""The public names are exactly those that are documented, and those that plans rely on."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import inspect
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import llem_core.contracts
import llem_core.testing
import llenergymeasure
import pytest
from llem_core.testing import LauncherContract, SamplerContract, ServingContract, SinkContract
from llem_core.testing.conformance import checks_of

ROOT = Path(__file__).parents[3]

STABLE = [
    "BaselineConfig",
    "DecoderConfig",
    "EnergyConfig",
    "ExecutionConfig",
    "ExperimentConfig",
    "LoRAConfig",
    "SkippedConfig",
    "StudyConfig",
    "WarmupConfig",
    "EnergyBreakdown",
    "EnvironmentSnapshot",
    "ExperimentResult",
    "FlopsResult",
    "StudyResult",
    "StudySummary",
    "WarmupResult",
    "EnergySampler",
    "FlopsEstimator",
    "InferenceBackend",
    "ManifestWriter",
    "ResultSink",
    "StateManager",
    "StudyManifest",
    "StudyRunner",
    "aggregate_results",
    "apply_cycles",
    "expand_grid",
    "load_experiment_config",
    "load_result",
    "load_study",
    "load_study_config",
    "run_experiment",
    "run_study",
    "__version__",
]
CONTRACTS = [
    "Arrival",
    "StudyService",
    "Backend",
    "Chunk",
    "ServedRequest",
    "ServingBackend",
    "BackendSpec",
    "InferenceBackend",
    "BackendSection",
    "SamplerSpec",
    "EnergySampler",
    "Growth",
    "UsedDevices",
    "SamplerSettings",
    "SinkSpec",
    "ResultSink",
    "Section",
    "Workload",
    "Precision",
    "Prompt",
    "Batch",
    "DecoderConfig",
    "LoRAConfig",
    "LoadMode",
    "Availability",
    "BatchOutput",
    "CheckReport",
    "AttentionShape",
    "ComputeShape",
    "DeviceInfo",
    "DomainKind",
    "DomainReading",
    "EnergyMethod",
    "EnergyReading",
    "MemoryReading",
    "ModelInfo",
    "PowerSample",
    "RequestOutput",
    "Purpose",
    "RunFacts",
    "UncertaintyComponent",
    "SensorProbe",
    "user_data_folder",
    "Launcher",
    "LauncherSpec",
    "Resources",
    "RunState",
    "Running",
    "LaunchTask",
    "LaunchResult",
    "LaunchSuccess",
    "LaunchFailure",
    "Event",
    "decode",
    "encode",
    "CONTRACT_VERSION",
    "hookimpl",
    "write_atomically",
]
TESTING = [
    "ScriptedServer",
    "ScriptedServingConfig",
    "ServedPower",
    "ServingContract",
    "scripted_server",
    "BackendContract",
    "LauncherContract",
    "SamplerContract",
    "SinkContract",
    "run_contract",
    "ContractError",
    "Outcome",
    "Rule",
    "ScriptedBackend",
    "ScriptedConfig",
    "scripted_backend",
    "ScriptedSampler",
    "scripted_sampler",
    "PowerScript",
    "MemorySink",
    "memory_sink",
    "finished_experiment",
    "finished_study",
    "InlineLauncher",
    "QueueLauncher",
    "LateMeter",
    "FakePlugin",
    "ManualClock",
]
METHODS = {
    "ManifestWriter": ("mark_running", "mark_completed", "mark_failed"),
    "StudyRunner": ("run",),
}


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("api", ROOT / "scripts" / "generate_api.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def documented(module: str) -> set[str]:
    page = (ROOT / "docs" / "reference" / "api.md").read_text(encoding="utf-8")
    part = page.partition(f"## `{module}`\n")[2].partition("\n## ")[0]
    return set(re.findall(r"^\| `(\w+)", part, flags=re.MULTILINE))


@pytest.mark.parametrize(
    ("module", "names"),
    [
        (llenergymeasure, STABLE),
        (llem_core.contracts, CONTRACTS),
        (llem_core.testing, TESTING),
    ],
)
def test_the_names_are_those_that_are_promised_and_documented(
    module: ModuleType, names: list[str]
) -> None:
    assert set(module.__all__) == set(names)
    assert documented(module.__name__) == set(names)
    assert all(hasattr(module, name) for name in names)


def test_the_methods_that_plans_rely_on_are_there() -> None:
    for name, methods in METHODS.items():
        assert all(callable(getattr(getattr(llenergymeasure, name), m)) for m in methods)
    pytorch = importlib.import_module("llem_pytorch")
    assert {"PyTorchBackend", "PyTorchConfig"} <= set(pytorch.__all__)


def test_the_generated_pages_are_in_step() -> None:
    pages = generator().pages()
    stale = [path.name for path, page in pages.items() if path.read_text("utf-8") != page]
    assert stale == [], "run `uv run python scripts/generate_api.py`"


def test_every_type_of_the_contracts_stands_on_its_page_with_all_its_fields() -> None:
    page = (ROOT / "docs" / "reference" / "contracts.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## `(\w+)`\n(.*?)(?=^## |\Z)", page, flags=re.M | re.S))
    module = importlib.import_module("llem_core.contracts")
    kinds = {name: kind for name in CONTRACTS if inspect.isclass(kind := getattr(module, name))}
    assert sections.keys() == kinds.keys()
    for name, kind in kinds.items():
        rows = re.findall(r"^\| `(\w+)` \|(?:.*(?<!\\)\|)? (.*) \|$", sections[name], flags=re.M)
        told = {field: meaning for field, meaning in rows if meaning.strip()}
        fields = (
            [f.name for f in dataclasses.fields(kind)] if dataclasses.is_dataclass(kind) else []
        )
        fields += getattr(kind, "model_fields", {})
        assert [field for field in fields if field not in told] == [], name


def test_the_page_of_the_contracts_gives_types_and_units() -> None:
    page = (ROOT / "docs" / "reference" / "contracts.md").read_text(encoding="utf-8")
    assert "| `queued_s` | `float \\| None` | s | `None` | how long it had waited" in page
    assert "| `weights_bytes` | `int \\| None` | bytes | `None` | memory of the weights. |" in page
    assert "| `warmup_batches(batches)` | Which of the measured batches" in page


def test_every_rule_has_its_paragraph_and_every_paragraph_its_rule() -> None:
    page = (ROOT / "docs" / "plugins" / "conformance.md").read_text(encoding="utf-8")
    found = {
        rule.name: rule
        for contract in (ServingContract, SamplerContract, SinkContract, LauncherContract)
        for _, rule in checks_of(contract)
    }
    assert sorted(re.findall(r"^### (.+)$", page, flags=re.MULTILINE)) == sorted(found)
    for rule in found.values():
        what, _, why = rule.says.partition("\n\n")
        assert what.strip(), rule.name
        assert why.strip(), rule.name
        assert rule.mend.endswith("."), rule.name
        # The anchor that a failure names is the one that the heading gets.
        assert rule.paragraph.endswith("#" + rule.name.lower().replace(" ", "-"))


def test_codes_and_titles_are_unique() -> None:
    for contract in (ServingContract, SamplerContract, SinkContract, LauncherContract):
        codes = [rule.code for _, rule in checks_of(contract)]
        assert len(set(codes)) == len(codes)
        assert all(
            f"test_{r.name.lower().replace(' ', '_').replace('-', '_')}" == m
            for m, r in checks_of(contract)
        )


def test_every_distribution_is_typed() -> None:
    for package in (ROOT / "packages").glob("*/src/*/__init__.py"):
        assert package.with_name("py.typed").exists(), package.parent.name


LOADED = """
import sys
sys.modules["pytest"] = None  # as if it were not installed
import llem_core.testing
print(*sorted({name.split(".")[0] for name, module in sys.modules.items() if module}))
"""


def test_the_kit_needs_neither_pytest_nor_an_engine() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED], capture_output=True, text=True, check=True
    )
    unwanted = {"pytest", "_pytest", "torch", "transformers", "click", "pyarrow", "numpy"}
    assert set(done.stdout.split()) & unwanted == set()
