"""The Zeus sampler over the real library, with RAPL zones made of files."""

import pytest

RAPL = """
import multiprocessing, os, pathlib, sys, threading
root = pathlib.Path(sys.argv[1]) / "intel-rapl"

def make_zone(folder, kind, value_uj):
    folder.mkdir(parents=True)
    (folder / "name").write_text(kind + "\\n")
    (folder / "energy_uj").write_text(str(value_uj))
    (folder / "max_energy_range_uj").write_text("10000000")
    return folder / "energy_uj"

package = make_zone(root / "intel-rapl:0", "package-0", 5_000_000)
dram = make_zone(root / "intel-rapl:0" / "intel-rapl:0:0", "dram", 1_000_000)
psys = make_zone(root / "intel-rapl:1", "psys", 9_000_000)

# Zeus has no other way to be told where the zones are.
import zeus.device.cpu.rapl
zeus.device.cpu.rapl.RAPL_DIR = str(root)

from llem_core.contracts import SamplerSettings
from llem_energy_zeus.hooks import llem_samplers

spec = llem_samplers()[0]
sampler = spec.create(SamplerSettings(0.1, spec.section()))
readings, sensor = {}, {}

def window(name, **values_uj):
    sampler.begin(name)
    for zone, value in values_uj.items():
        globals()[zone].write_text(str(value))
    reading = sampler.end(name)
    readings[name] = {d.name: d for d in reading.domains}
    sensor.update(reading.sensor)

sampler.start()
children = len(multiprocessing.active_children())
window("plain", package=8_000_000, dram=1_500_000, psys=10_000_000)
window("wrapped", package=500_000, dram=1_600_000, psys=11_000_000)
window("still", dram=1_700_000, psys=12_000_000)
window("broken", package="nothing", dram=1_800_000, psys=13_000_000)
package.write_text("0")
window("outside", package=1_000_000)
sampler.begin("outer")
sampler.begin("inner")
package.write_text("2000000")
inner = sampler.end("inner")
package.write_text("4000000")
outer = sampler.end("outer")
sampler.stop()
sampler.start()
window("again", package=6_000_000)
sampler.stop()
tell(
    energies={w: {n: d.energy_j for n, d in found.items()} for w, found in readings.items()},
    reasons={w: {n: d.reason for n, d in found.items()} for w, found in readings.items()},
    kinds={name: d.kind for name, d in readings["plain"].items()},
    sensor=sensor,
    nested=[inner.domains[0].energy_j, outer.domains[0].energy_j],
    children=children, threads=[thread.name for thread in threading.enumerate()],
    loaded=[name for name in ("torch", "transformers") if name in sys.modules],
)
"""


def test_rapl_zones_are_told_through_zeus(run_script, tmp_path):
    done = run_script(RAPL, [tmp_path / "powercap"])
    told = done.told
    assert (done.stdout, done.stderr) == ("", "")
    assert done.files == []
    # The platform's zone has the packages in it and must not be summed with them.
    assert told["kinds"] == {"cpu:0": "cpu", "dram:0": "dram"}
    assert told["sensor"]["rapl_zones_left_out"] == ["psys"]
    energies = told["energies"]
    assert energies["plain"] == pytest.approx({"cpu:0": 3.0, "dram:0": 0.5})
    assert energies["wrapped"]["cpu:0"] == pytest.approx(10.0 - 8.0 + 0.5)
    assert energies["wrapped"]["dram:0"] == pytest.approx(0.1)
    assert energies["still"]["cpu:0"] is None
    assert "did not move" in told["reasons"]["still"]["cpu:0"]
    assert energies["broken"]["cpu:0"] is None
    assert "could not close" in told["reasons"]["broken"]["cpu:0"]
    assert energies["outside"]["cpu:0"] == pytest.approx(1.0)
    assert told["nested"] == pytest.approx([1.0, 3.0])
    assert energies["again"]["cpu:0"] == pytest.approx(2.0)
    assert told["children"] == 0
    assert told["threads"] == ["MainThread"]
    assert told["loaded"] == []


NOTHING = """
from llem_core.contracts import SamplerSettings
from llem_core.errors import EnergyError
from llem_energy_zeus.hooks import llem_samplers

spec = llem_samplers()[0]
sampler = spec.create(SamplerSettings(0.1, spec.section(cpu=False)))
try:
    sampler.start()
    error = None
except EnergyError as raised:
    error = str(raised)
sampler.stop()
import os
tell(error=error, visible=os.environ["CUDA_VISIBLE_DEVICES"])
"""


def test_a_machine_without_meters_is_told_in_one_sentence(run_script):
    from llem_energy_zeus.availability import count_nvml_gpus

    if count_nvml_gpus()[0]:
        pytest.skip("this machine has a GPU")
    done = run_script(NOTHING, CUDA_VISIBLE_DEVICES="GPU-1234,5")
    assert (done.stdout, done.stderr) == ("", "")
    assert "nothing to read" in done.told["error"]
    assert done.told["visible"] == "GPU-1234,5"


PARTLY = """
import pathlib, sys
root = pathlib.Path(sys.argv[1]) / "intel-rapl"

def make_zone(folder, kind, value_uj):
    folder.mkdir(parents=True)
    (folder / "name").write_text(kind + "\\n")
    (folder / "max_energy_range_uj").write_text("10000000")
    file = folder / "energy_uj"
    # Root reads whatever it likes; a folder in the place of the file it cannot read either.
    file.write_text(str(value_uj)) if value_uj is not None else file.mkdir()
    return file

first = make_zone(root / "intel-rapl:0", "package-0", 5_000_000)
make_zone(root / "intel-rapl:0" / "intel-rapl:0:0", "core", None)
make_zone(root / "intel-rapl:0" / "intel-rapl:0:1", "dram", None)
make_zone(root / "intel-rapl:1", "package-1", None)
last = make_zone(root / "intel-rapl:2", "package-2", 1_000_000)
dram = make_zone(root / "intel-rapl:2" / "intel-rapl:2:0", "dram", 1_000_000)
make_zone(root / "intel-rapl:3", "psys", None)

import zeus.device.cpu.rapl
zeus.device.cpu.rapl.RAPL_DIR = str(root)

from llem_core.contracts import SamplerSettings
from llem_energy_zeus.hooks import llem_samplers

spec = llem_samplers()[0]
sampler = spec.create(SamplerSettings(0.1, spec.section()))
sampler.start()
sampler.begin("w")
first.write_text("7000000"); last.write_text("4000000"); dram.write_text("1500000")
reading = sampler.end("w")
sampler.stop()
tell(
    energies={d.name: d.energy_j for d in reading.domains},
    reasons={d.name: d.reason for d in reading.domains},
    sensor=reading.sensor,
)
"""


def test_zones_that_cannot_be_read_do_not_cost_the_others(run_script, tmp_path):
    told = run_script(PARTLY, [tmp_path / "powercap"]).told
    assert told["energies"] == pytest.approx(
        {"cpu:0": 2.0, "cpu:2": 3.0, "dram:2": 0.5, "dram:0": None, "cpu:1": None}
    )
    for name, zone in (("cpu:1", "intel-rapl:1"), ("dram:0", "intel-rapl:0:1")):
        assert f"{zone}/energy_uj cannot be read (Is a directory)" in told["reasons"][name]
    assert len(told["sensor"]["rapl_zones_unreadable"]) == 3
