import subprocess
import sys
import threading

import pytest
from llem_core.meters import Periodic
from llem_energy_zeus.hooks import llem_samplers
from llem_energy_zeus.opening import distinct_packages
from llem_energy_zeus.wraps import WrapCounter


def test_the_plugin_loads_without_zeus():
    code = (
        "import sys, llem_energy_zeus.hooks as h; h.llem_samplers();"
        "print([m for m in ('zeus', 'sklearn', 'numpy', 'pynvml', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_sampler_is_offered_below_nvml_and_above_estimates():
    (spec,) = llem_samplers()
    assert (spec.name, spec.priority) == ("zeus", 200)
    assert "GPU" in spec.remedy


def test_a_zone_that_wraps_is_counted(tmp_path):
    zone = tmp_path / "energy_uj"
    zone.write_text("900\n")
    counter = WrapCounter(zone)
    counts = []
    for value in ("950", "10", "20", "5"):
        zone.write_text(value)
        counts.append(counter.get_num_wraparounds())
    assert counts == [0, 1, 1, 2]


def test_polling_a_zone_that_is_gone_is_quiet_but_reading_it_is_not(tmp_path):
    zone = tmp_path / "energy_uj"
    zone.write_text("900")
    counter = WrapCounter(zone)
    zone.unlink()
    counter.poll()
    with pytest.raises(FileNotFoundError):
        counter.get_num_wraparounds()


def test_a_periodic_thread_calls_until_it_is_stopped():
    calls = []
    thrice = threading.Event()

    def action():
        calls.append(1)
        if len(calls) == 3:
            thrice.set()

    thread = Periodic(0.001, action, "test-periodic")
    thread.start()
    assert thrice.wait(30)
    thread.stop()
    after = len(calls)
    assert "test-periodic" not in {other.name for other in threading.enumerate()}
    assert len(calls) == after


def test_a_package_that_is_shown_twice_counts_once():
    zones = ["package-0", "psys", "package-1", "package-0"]
    assert distinct_packages(zones) == ([0, 2], ["psys", "package-0, shown twice"])
    assert distinct_packages([]) == ([], [])
