import subprocess
import sys

import pytest
from llem_energy_codecarbon.availability import codecarbon_availability
from llem_energy_codecarbon.config import CodeCarbonConfig
from llem_energy_codecarbon.hooks import llem_samplers
from pydantic import ValidationError


def no_gpu():
    return False, "no GPU (no driver)"


def test_without_a_meter_it_says_that_it_estimates(tmp_path):
    found = codecarbon_availability(tmp_path / "intel-rapl", no_gpu)
    assert found.usable
    assert "estimates the CPU" in found.reason
    assert "no driver" in found.reason
    assert found.domains == ("cpu", "dram")


def test_readable_rapl_is_said_to_be_measured(tmp_path):
    zone = tmp_path / "intel-rapl:0"
    zone.mkdir()
    (zone / "energy_uj").write_text("12")
    found = codecarbon_availability(tmp_path, lambda: (True, "1 GPU through NVML"))
    assert "measures the CPU through RAPL" in found.reason
    assert found.domains == ("gpu", "cpu", "dram")
    (zone / "energy_uj").write_text("")
    assert "estimates the CPU" in codecarbon_availability(tmp_path, no_gpu).reason


def test_the_plugin_loads_without_codecarbon():
    code = (
        "import sys, llem_energy_codecarbon.hooks as h; h.llem_samplers();"
        "heavy = ('codecarbon', 'psutil', 'numpy', 'pynvml', 'torch');"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_sampler_is_offered_below_the_meters():
    (spec,) = llem_samplers()
    assert (spec.name, spec.priority) == ("codecarbon", 100)


@pytest.mark.parametrize(
    "wrong", [{"tracking_mode": "room"}, {"measure_interval_s": 0.01}, {"cpu_tdp_w": 0}]
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ValidationError):
        CodeCarbonConfig(**wrong)
