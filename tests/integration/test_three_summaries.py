"""The quickstart without a meter, with CodeCarbon alone and with a (simulated) GPU's counter.

The command is the real one, in a process of its own; the plugins that a process sees are chosen
before it starts, as if the others were not installed. Nobody may take one summary for another.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

SCRIPT = """
import contextlib, importlib, sys
from dataclasses import replace
from llem_core.contracts import CheckReport, DeviceInfo, hookimpl
from llem_core.plugins import Plugins, use_plugins
from llem_core.sinks import hooks as core_sinks
from llem_core.testing import FakePlugin

gpu, *names = sys.argv.pop(1).split(",")
plugins = Plugins()
plugins.register(core_sinks, "core-sinks")
for name in names:
    plugins.register(importlib.import_module(f"{name}.hooks"), name)
driver = contextlib.nullcontext()
if gpu:
    from llem_energy_nvml.testing import Constant, SimulatedGpu, simulated_driver
    from llem_pytorch.backend import PyTorchBackend
    from llem_pytorch.hooks import llem_backends

    device = SimulatedGpu(curve=Constant(300.0), name="Simulated GPU")
    driver = simulated_driver([device])

    class OnTheGpu(PyTorchBackend):
        # It computes on the CPU, and says that it was the simulated GPU.
        def load(self):
            return replace(super().load(), devices=(DeviceInfo("gpu", device.name, device.uuid),))

    (spec,) = llem_backends()
    spec = replace(spec, create=OnTheGpu, check=lambda workload: CheckReport(device_kind="gpu"))
    plugins.register(FakePlugin(backends=[spec]), "pytorch-on-gpu")

from llem_cli.main import main
with driver, use_plugins(plugins):
    sys.exit(main())
"""
FAST = (
    *("--set", "n=4", "--set", "max_output_tokens=8", "--set", "baseline.duration_seconds=2"),
    *("--set", "warmup.n_warmup=1", "--set", "warmup.convergence_detection=false"),
)
FIGURE = re.compile(r"\d [kmµ]?[JW]\b")


def energy_block(
    gpu: str, *plugins: str, folder: Path, flags: Sequence[str] = ()
) -> tuple[list[str], str]:
    """The quickstart's energy block, line by line, and the whole summary."""
    command = [",".join([gpu, *plugins]), "run", *FAST, *flags, "-o", str(folder)]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *command],
        capture_output=True,
        text=True,
        check=False,
        timeout=250,
    )
    assert done.returncode == 0, done.stderr
    (block,) = [part for part in done.stdout.split("\n\n") if part.startswith("Energy")]
    return block.splitlines(), done.stdout


def joined(lines: list[str]) -> str:
    return " ".join(" ".join(lines).split())


@pytest.mark.full
def test_no_meter_at_all(tmp_path: Path) -> None:
    lines, text = energy_block("", "llem_pytorch", "llem_energy_nvml", folder=tmp_path)
    assert joined(lines).startswith("Energy not measured: no meter could be used: nvml: ")
    assert "it needs an NVIDIA GPU and its driver" in joined(lines)
    assert "`pip install llem-energy-codecarbon` gives an estimate" in joined(lines)
    # No energy or power stands anywhere, and nothing is called an estimate.
    assert FIGURE.search(text) is None
    assert "estimated" not in text.lower()
    # The reason stands with the energy, and not once more among the warnings.
    assert joined(text.splitlines()).count("no meter could be used") == 1


@pytest.mark.full
def test_codecarbon_alone(tmp_path: Path) -> None:
    plugins = ("llem_pytorch", "llem_energy_nvml", "llem_energy_codecarbon")
    lines, text = energy_block("", *plugins, folder=tmp_path)
    assert lines[0].split(maxsplit=1)[1].startswith("ESTIMATED by a model, not measured")
    assert "source: codecarbon" in joined(lines)
    # Each figure carries the word, and none has an uncertainty that it cannot have.
    figures = [line for line in lines if FIGURE.search(line)]
    assert len(figures) >= 7
    own_method = re.compile(r"\((measured|estimated)")
    assert [line for line in figures if not own_method.search(line)] == []
    assert "±" not in "\n".join(lines)
    assert "compare no two configurations by it" in joined(text.splitlines())


@pytest.mark.full
def test_a_device_with_a_counter(tmp_path: Path) -> None:
    longer = ("--set", "max_output_tokens=128")
    lines, text = energy_block("gpu", "llem_energy_nvml", folder=tmp_path, flags=longer)
    assert lines[0].split(maxsplit=1)[1] == "measured, energy counter; source: nvml"
    assert "Simulated GPU (GPU-" in joined(lines)
    assert re.search(r"uncertainty ± \S+ m?J between runs on one device \(95%", joined(lines))
    # How long the window is depends on the machine, and with it the term that is the greatest.
    assert re.search(r"± \S+ k?J as absolute joules \(95%, mostly (edges|gain)\)", joined(lines))
    # The window is far shorter than a counter needs for more digits.
    assert re.search(r"mean power +(2[5-9]|3[0-4])\d W", "\n".join(lines))
    assert re.search(r"cross-check .*integrated", joined(lines))
    assert "estimate" not in text.lower()
    assert "not measured" not in text
