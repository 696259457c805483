"""The CodeCarbon sampler over the real library."""

import pytest

WINDOWS = """
import threading, time
from llem_core.contracts import SamplerSettings
from llem_energy_codecarbon.hooks import llem_samplers

spec = llem_samplers()[0]
sampler = spec.create(SamplerSettings(0.1, spec.section()))
sampler.start()
sampler.begin("outer")
time.sleep(0.3)
sampler.begin("inner")
time.sleep(0.3)
inner = sampler.end("inner")
outer = sampler.end("outer")
sampler.stop()
sampler.start()
sampler.begin("again")
time.sleep(0.05)
again = sampler.end("again")
sampler.stop()

def rows(reading):
    return [
        {"name": d.name, "energy_j": d.energy_j, "method": d.method, "reason": d.reason,
         "terms": len(d.uncertainty), "mean_w": d.energy_j / reading.duration_s}
        for d in reading.domains if d.kind != "gpu"
    ]

tell(
    inner=rows(inner), outer=rows(outer), again=rows(again), sensor=outer.sensor,
    warnings=outer.warnings, usable=spec.availability().usable,
    threads=[thread.name for thread in threading.enumerate()],
)
"""

HOSTILE = """[codecarbon]
output_methods = csv,logger
save_to_file = true
output_dir = /nowhere
log_level = debug
pue = 7
tracking_mode = process
force_cpu_power = 10000
force_ram_power = 10000
allow_multiple_runs = false
emissions_endpoint = http://127.0.0.1:9
"""


def test_windows_are_told_by_component_and_nothing_is_printed_or_written(run_script):
    done = run_script(WINDOWS)
    told = done.told
    assert (done.stdout, done.stderr) == ("", "")
    assert done.files == []
    assert told["usable"]
    assert told["warnings"] == []
    assert told["threads"] == ["MainThread"]
    for window in ("inner", "outer", "again"):
        by_name = {row["name"]: row for row in told[window]}
        assert set(by_name) == {"cpu", "ram"}
        assert by_name["ram"]["method"] == "estimated"
        assert by_name["ram"]["terms"] == 0
        assert by_name["ram"]["energy_j"] > 0
    ram_w = [told[window][1]["mean_w"] for window in ("inner", "outer", "again")]
    assert ram_w == pytest.approx([ram_w[0]] * 3, rel=1e-6)
    measured = told["sensor"]["cpu_mode"] == "intel_rapl"
    assert told["outer"][0]["method"] == ("counter" if measured else "estimated")
    assert (told["outer"][0]["terms"] > 0) == measured


def test_settings_of_the_users_own_codecarbon_have_no_say(run_script):
    done = run_script(
        WINDOWS,
        home_files={".codecarbon.config": HOSTILE},
        CODECARBON_LOG_LEVEL="debug",
        CODECARBON_PUE="9",
    )
    assert (done.stdout, done.stderr) == ("", "")
    assert done.files == ["home/.codecarbon.config"]
    assert done.told["sensor"]["tracking_mode"] == "machine"
    assert {row["mean_w"] < 9000 for row in done.told["outer"]} == {True}


def test_a_scheduler_that_is_only_named_does_not_keep_it_from_starting(run_script):
    done = run_script(WINDOWS, SLURM_JOB_ID="1", PATH="/nowhere")
    assert (done.stdout, done.stderr) == ("", "")
    assert {row["name"] for row in done.told["outer"]} == {"cpu", "ram"}


def test_the_power_that_the_user_gives_is_the_estimates(run_script):
    done = run_script(
        WINDOWS.replace("spec.section()", "spec.section(cpu_tdp_w=1000, ram_power_w=33)")
    )
    cpu, ram = done.told["outer"]
    assert ram["mean_w"] == pytest.approx(33, rel=1e-6)
    assert done.told["sensor"]["cpu_tdp_w"] == 1000
    assert cpu["method"] == "estimated"
    # CodeCarbon's model: a tenth of the thermal design power when idle, all of it at full load.
    assert 99 < cpu["mean_w"] < 1001


RAPL = """
import pathlib, sys
from codecarbon.core.units import Time
from codecarbon.external.hardware import CPU
from llem_core.contracts import SamplerSettings
from llem_energy_codecarbon.components import make_components
from llem_energy_codecarbon.config import CodeCarbonConfig
from llem_energy_codecarbon.opening import Opened
from llem_energy_codecarbon.sampler import CodeCarbonSampler

root = pathlib.Path(sys.argv[1])
zones = []
for number in (0, 1):
    zone = root / "intel-rapl" / f"intel-rapl:{number}"
    zone.mkdir(parents=True)
    (zone / "name").write_text(f"package-{number}\\n")
    (zone / "energy_uj").write_text(str(1_000_000 * (number + 5)))
    (zone / "max_energy_range_uj").write_text("10000000")
    zones.append(zone / "energy_uj")

def open_rapl(config):
    cpu = CPU(output_dir=".", mode="intel_rapl", model="Some CPU", tdp=65, rapl_dir=str(root))
    return Opened(tuple(make_components([cpu], Time.from_seconds)), {})

sampler = CodeCarbonSampler(SamplerSettings(0.1, CodeCarbonConfig()), open_rapl)
sampler.start()
readings = []

def window(name, *values_uj):
    sampler.begin(name)
    for zone, value in zip(zones, values_uj):
        zone.write_text(value)
    readings.append(sampler.end(name))

window("plain", "8000000", "7500000")
window("wrapped", "8000000", "500000")
window("unreadable", "nothing", "600000")
window("no baseline", "9000000", "700000")
window("after", "9500000", "900000")
sampler.stop()
(domain,) = {reading.domains[0].name for reading in readings}
tell(
    energies=[reading.domains[0].energy_j for reading in readings],
    reasons=[reading.domains[0].reason for reading in readings],
    methods=[reading.domains[0].method for reading in readings],
    terms=[term.name for term in readings[0].domains[0].uncertainty],
)
"""


def test_rapl_is_measured_summed_over_packages_and_never_zero(run_script, tmp_path):
    told = run_script(RAPL, [tmp_path / "powercap"]).told
    plain_j, wrapped_j, unreadable_j, no_baseline_j, after_j = told["energies"]
    assert plain_j == pytest.approx(3.0 + 1.5)
    assert wrapped_j == pytest.approx(10.0 - 7.5 + 0.5)
    assert unreadable_j is None
    assert "could not read a RAPL zone" in told["reasons"][2]
    # The zone was still unreadable when this window opened.
    assert no_baseline_j is None
    assert after_j == pytest.approx(0.5 + 0.2)
    assert told["methods"] == ["counter"] * 5
    assert told["terms"] == ["edges", "quantisation", "gain"]
