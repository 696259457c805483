"""The real Zeus, the real CodeCarbon and the whole program over the simulated driver."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

UUID = "GPU-00000000-0000-0000-0000-00000000000a"
SCENARIO = f"""gpus:
  - uuid: {UUID}
    curve: {{kind: constant, level_w: 300}}
  - uuid: GPU-00000000-0000-0000-0000-00000000000b
    curve: {{kind: constant, level_w: 70}}
"""
LIBRARY = """
import importlib, sys, time
from llem_core.contracts import SamplerSettings

spec = importlib.import_module(f"llem_energy_{sys.argv[1]}.hooks").llem_samplers()[0]
sampler = spec.create(SamplerSettings(0.1, spec.section()))
sampler.start()
sampler.begin("w")
time.sleep(2)
reading = sampler.end("w")
sampler.stop()
told = {d.name: d.energy_j / reading.duration_s for d in reading.domains if d.kind == "gpu"}
import json; print(json.dumps({"power_w": told, "usable": spec.availability().usable}))
"""


def over_scenario(folder: Path, *program: str) -> subprocess.CompletedProcess[str]:
    scenario = folder / "scenario.yaml"
    scenario.write_text(SCENARIO)
    wrapper = [sys.executable, "-m", "llem_energy_nvml.testing.run", str(scenario), "--"]
    return subprocess.run(
        [*wrapper, *program], cwd=folder, capture_output=True, text=True, check=False, timeout=200
    )


@pytest.mark.full
@pytest.mark.parametrize("library", ["zeus", "codecarbon"])
def test_real_libraries_read_the_simulated_devices(tmp_path: Path, library: str) -> None:
    done = over_scenario(tmp_path, sys.executable, "-c", LIBRARY, library)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["usable"]
    # Neither library aligns its edges: up to one refresh of 0.1 s of 2 s each.
    assert told["power_w"][UUID] == pytest.approx(300, rel=0.12)
    assert len(told["power_w"]) == 2


def test_a_whole_run_measures_the_gpu_that_its_backend_names(tmp_path: Path) -> None:
    done = over_scenario(
        tmp_path,
        str(Path(sys.executable).parent / "llem"),
        *("run", "--json", "--model", "any", "--backend", "scripted", "--sampler", "nvml"),
        *("-n", "10", "--set", f"scripted.gpu_uuids=[{UUID}]"),
        *("--set", "scripted.token_time_s=0.02", "--set", "max_output_tokens=8"),
        *("--set", "baseline.enabled=false", "--output", str(tmp_path / "results")),
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["energy_scope"] == [UUID]
    assert result["mean_power_w"] == pytest.approx(300, rel=0.05)
    assert result["environment_snapshot"]["driver_version"] == "580.00.simulated"


def test_a_wrong_scenario_is_told(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("gpus: [{colour: red}]")
    wrapper = [sys.executable, "-m", "llem_energy_nvml.testing.run", str(tmp_path / "bad.yaml")]
    done = subprocess.run(
        [*wrapper, "--", "true"], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode != 0
    assert "unknown key 'colour'" in done.stderr
