"""Zeus and CodeCarbon, the real libraries, over simulated GPUs underneath the real binding.

The GPUs' time stands still but where the script moves it on, so the joules of a window are known.
"""

import pytest
from llem_core.meters.processes import ELSEWHERE

GPUS = """
import importlib, os, sys, threading, time
from llem_core.contracts import SamplerSettings
from llem_energy_nvml.testing import Constant, SimulatedGpu, VirtualClock, simulated_driver

A, B = "GPU-0000000a-0000-0000-0000-000000000000", "GPU-0000000b-0000-0000-0000-000000000000"
first = SimulatedGpu(
    curve=Constant(300.0), uuid=A, pids=(2**22 + 1,), throttle=0x4, idle_w=60.0
)
second = SimulatedGpu(curve=Constant(60.0), uuid=B, mig=True)
# Refreshes fall between the moments that the script moves on to.
for gpu in (first, second):
    gpu.phase_s = 0.05
clock = VirtualClock()
readings = {}

def end(window):
    reading = sampler.end(window)
    readings[window] = {d.name: d for d in reading.domains if d.kind == "gpu"}
    return reading

with simulated_driver([first, second], clock=clock) as now:
    spec = importlib.import_module(f"llem_energy_{sys.argv[1]}.hooks").llem_samplers()[0]
    available = spec.availability()
    sampler = spec.create(SamplerSettings(0.01, spec.section()))
    used_s = time.process_time()
    sampler.start()
    used_s = time.process_time() - used_s
    clock.sleep(1.0)

    sampler.begin("outer")
    clock.sleep(0.1)
    sampler.begin("inner")
    clock.sleep(0.2)
    threading.Event().wait(0.15)
    end("inner")
    outer = end("outer")

    sampler.begin("lost")
    clock.sleep(0.1)
    first.lost_from_s = now()
    end("lost")
    first.lost_from_s = None
    clock.sleep(0.1)
    sampler.begin("frozen")
    clock.sleep(0.1)
    first.dead_from_s = now() - 0.15
    end("frozen")
    first.dead_from_s = None
    clock.sleep(0.1)
    sampler.begin("reset")
    clock.sleep(0.1)
    first.reset_at_s = now() - 0.08
    end("reset")
    clock.sleep(0.1)
    sampler.begin("jump")
    clock.sleep(0.1)
    first.jump_at_s = now() - 0.08
    end("jump")
    clock.sleep(0.1)
    sampler.begin("sound")
    clock.sleep(0.1)
    end("sound")
    sampler.stop()

tell(
    usable=available.usable, domains=available.domains, reason=available.reason, a=A, b=B,
    energies={w: {n: d.energy_j for n, d in found.items()} for w, found in readings.items()},
    reasons={w: {n: d.reason for n, d in found.items()} for w, found in readings.items()},
    methods=sorted({d.method for found in readings.values() for d in found.values()}),
    terms={t.name: t.standard_j for t in readings["outer"][A].uncertainty},
    shared=readings["outer"][A].shared_with,
    check=[readings["outer"][A].cross_check_j, outer.duration_s],
    samples=[
        [row.domain, row.power_w, row.temperature_c, row.utilisation_percent, row.sm_clock_hz,
         row.throttle_reasons] for row in outer.samples
    ],
    visible_kept=os.environ["CUDA_VISIBLE_DEVICES"],
    visible={n: getattr(d, "visible", None) for n, d in readings["outer"].items()},
    threads=[thread.name for thread in threading.enumerate()],
    warnings=outer.warnings,
    labels={n: d.label for n, d in readings["outer"].items()},
)
"""


@pytest.fixture
def over_gpus(run_script, tmp_path):
    def run(sampler, visible="GPU-0000000b"):
        # CodeCarbon takes a machine without this command for one without GPUs.
        command = tmp_path / "bin" / "nvidia-smi"
        command.parent.mkdir()
        command.write_text("#!/bin/sh\nexit 0\n")
        command.chmod(0o755)
        path = f"{command.parent}:/usr/local/bin:/usr/bin:/bin"
        return run_script(GPUS, [sampler], PATH=path, CUDA_VISIBLE_DEVICES=visible)

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
    a, b = told["a"], told["b"]
    # CodeCarbon's own constant from millijoules to kilowatt-hours is off by a millionth, and
    # the counter's step is a millijoule.
    close = {"rel": 2e-6, "abs": 0.0011}
    assert energies["inner"] == pytest.approx({a: 60.0, b: 12.0}, **close)
    assert energies["outer"] == pytest.approx({a: 90.0, b: 18.0}, **close)
    for window in ("lost", "frozen", "reset", "jump"):
        assert energies[window][a] is None, window
        assert reasons[window][a]
        assert energies[window][b] == pytest.approx(6.0, **close), window
    assert "jumped" in reasons["jump"][a]
    assert "reset" in reasons["reset"][a]
    assert energies["sound"] == pytest.approx({a: 30.0, b: 6.0}, **close)
    assert set(told["terms"]) == {"edges", "quantisation", "gain"}
    assert told["visible_kept"] == "GPU-0000000b"
    assert told["threads"] == ["MainThread"]
    said = {"zeus": " ".join(told["warnings"]), "codecarbon": told["labels"][b]}
    assert "MIG" in said[sampler]
    assert "MIG" not in told["labels"][a]


def test_zeus_samples_the_devices_state_and_names_other_processes(over_gpus):
    told = over_gpus("zeus").told
    rows = {row[0]: row[1:] for row in told["samples"]}
    assert rows[told["a"]] == [pytest.approx(300, rel=1e-5), 45, 80, 1.5e9, ["sw_power_cap"]]
    assert rows[told["b"]][0] == pytest.approx(60, rel=1e-4)
    (shared,) = told["shared"]
    assert shared in {f"{2**22 + 1} unknown", f"{2**22 + 1} ({ELSEWHERE})"}
    check_j, duration_s = told["check"]
    # The simulation's time and the sampler's are not the same: power × the sampler's own time.
    assert check_j == pytest.approx(300.0 * duration_s, rel=1e-5)


@pytest.mark.parametrize(
    "visible",
    [
        "1",
        *(
            pytest.param(shown, marks=pytest.mark.full)
            for shown in ("", "7", "GPU-0000000b,GPU-0000000a", "none")
        ),
    ],
)
def test_zeus_sees_every_gpu_whatever_cuda_shows(over_gpus, visible):
    told = over_gpus("zeus", visible).told
    assert set(told["energies"]["outer"]) == {told["a"], told["b"]}
    assert told["visible_kept"] == visible
