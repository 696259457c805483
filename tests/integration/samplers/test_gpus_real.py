"""Zeus and CodeCarbon over GPUs whose counts the test moves.

The functions of the NVML binding that the two libraries call are replaced in a process of
its own, since neither library can be given another binding.
"""

import pytest

GPUS = """
import os, sys, threading
from types import SimpleNamespace
import pynvml

class Gpu:
    def __init__(self, index):
        self.index, self.energy_mj, self.error = index, 1_000_000 * (index + 1), None

    def read(self):
        if self.error is not None:
            raise pynvml.NVMLError(self.error)
        return self.energy_mj

gpus = [Gpu(0), Gpu(1)]

def unsupported(*args):
    raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

def fields(gpu, wanted):
    return [SimpleNamespace(nvmlReturn=0, value=SimpleNamespace(uiVal=250_000)) for _ in wanted]

replaced = {
    "nvmlInit": lambda: None,
    "nvmlShutdown": lambda: None,
    "nvmlDeviceGetCount": lambda: len(gpus),
    "nvmlDeviceGetHandleByIndex": lambda index: gpus[index],
    "nvmlDeviceGetArchitecture": lambda gpu: pynvml.NVML_DEVICE_ARCH_HOPPER,
    "nvmlDeviceGetC2cModeInfoV": unsupported,
    "nvmlDeviceGetMigMode": unsupported,
    "nvmlDeviceGetName": lambda gpu: "Some GPU",
    "nvmlDeviceGetUUID": lambda gpu: f"GPU-{gpu.index}{gpu.index}",
    "nvmlDeviceGetTotalEnergyConsumption": lambda gpu: gpu.read(),
    "nvmlDeviceGetPowerManagementLimit": lambda gpu: 700_000,
    "nvmlDeviceGetEnforcedPowerLimit": lambda gpu: 700_000,
    "nvmlDeviceGetFieldValues": fields,
    "nvmlDeviceGetPowerUsage": lambda gpu: 250_000,
    "nvmlDeviceGetTemperatureV": lambda gpu, sensor: 55,
    "nvmlDeviceGetMemoryInfo": lambda gpu: SimpleNamespace(total=80, free=40, used=40),
    "nvmlDeviceGetUtilizationRates": lambda gpu: SimpleNamespace(gpu=50, memory=10),
    "nvmlDeviceGetComputeRunningProcesses": lambda gpu: [SimpleNamespace(pid=2**22 + 1)],
}
for name, function in replaced.items():
    setattr(pynvml, name, function)

import importlib
from llem_core.contracts import SamplerSettings

spec = importlib.import_module(f"llem_energy_{sys.argv[1]}.hooks").llem_samplers()[0]
available = spec.availability()
sampler = spec.create(SamplerSettings(0.01, spec.section()))
sampler.start()
readings = {}

def end(window):
    reading = sampler.end(window)
    readings[window] = {d.name: d for d in reading.domains if d.kind == "gpu"}
    return reading

sampler.begin("outer")
gpus[0].energy_mj += 3_000
sampler.begin("inner")
gpus[0].energy_mj += 2_000
gpus[1].energy_mj += 7_000
threading.Event().wait(0.1)
end("inner")
gpus[1].energy_mj += 1_000
outer = end("outer")

sampler.begin("lost")
gpus[0].error = pynvml.NVML_ERROR_GPU_IS_LOST
gpus[1].energy_mj += 1_000
end("lost")
gpus[0].error = None
moves = {"recovering": 0, "frozen": 0, "reset": -500_000, "jump": 500_000, "sound": 4_000}
for window, moved_mj in moves.items():
    sampler.begin(window)
    gpus[0].energy_mj += moved_mj
    gpus[1].energy_mj += 1_000
    end(window)
sampler.stop()

tell(
    usable=available.usable, domains=available.domains, reason=available.reason,
    energies={w: {n: d.energy_j for n, d in found.items()} for w, found in readings.items()},
    reasons={w: {n: d.reason for n, d in found.items()} for w, found in readings.items()},
    methods=sorted({d.method for found in readings.values() for d in found.values()}),
    terms={t.name: t.standard_j for t in readings["outer"]["GPU-00"].uncertainty},
    shared=readings["outer"]["GPU-00"].shared_with,
    samples=[[row.domain, row.power_w, row.temperature_c] for row in outer.samples],
    visible=os.environ["CUDA_VISIBLE_DEVICES"],
    threads=[thread.name for thread in threading.enumerate()],
)
"""


@pytest.fixture
def over_gpus(run_script, tmp_path):
    def run(sampler):
        # CodeCarbon takes a machine without this command for one without GPUs.
        command = tmp_path / "bin" / "nvidia-smi"
        command.parent.mkdir()
        command.write_text("#!/bin/sh\nexit 0\n")
        command.chmod(0o755)
        path = f"{command.parent}:/usr/local/bin:/usr/bin:/bin"
        return run_script(GPUS, [sampler], PATH=path, CUDA_VISIBLE_DEVICES="GPU-11")

    return run


@pytest.mark.parametrize("sampler", ["zeus", "codecarbon"])
def test_known_joules_are_told_by_uuid_and_defects_by_reason(over_gpus, sampler):
    done = over_gpus(sampler)
    told = done.told
    assert (done.stdout, done.stderr) == ("", "")
    assert done.files == []
    assert told["usable"]
    assert "gpu" in told["domains"]
    assert told["methods"] == ["counter"]
    energies, reasons = told["energies"], told["reasons"]
    # CodeCarbon's own constant from millijoules to kilowatt-hours is off by a millionth.
    assert energies["inner"] == pytest.approx({"GPU-00": 2.0, "GPU-11": 7.0}, rel=2e-6)
    assert energies["outer"] == pytest.approx({"GPU-00": 5.0, "GPU-11": 8.0}, rel=2e-6)
    for window in ("lost", "recovering", "frozen", "reset", "jump"):
        assert energies[window]["GPU-00"] is None
        assert reasons[window]["GPU-00"]
        assert energies[window]["GPU-11"] == pytest.approx(1.0, rel=2e-6)
    assert "jumped" in reasons["jump"]["GPU-00"]
    assert "reset" in reasons["reset"]["GPU-00"]
    assert energies["sound"]["GPU-00"] == pytest.approx(4.0, rel=2e-6)
    assert set(told["terms"]) == {"edges", "quantisation", "gain"}
    assert told["visible"] == "GPU-11"
    assert told["threads"] == ["MainThread"]


def test_zeus_samples_power_and_names_other_processes(over_gpus):
    told = over_gpus("zeus").told
    assert ["GPU-00", 250.0, 55.0] in told["samples"]
    assert ["GPU-11", 250.0, 55.0] in told["samples"]
    assert told["shared"] == [f"{2**22 + 1} unknown"]
