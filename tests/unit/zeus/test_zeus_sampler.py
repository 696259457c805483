import math
import threading
from dataclasses import replace
from types import SimpleNamespace

import pytest
from llem_core.contracts import SamplerSettings
from llem_core.errors import EnergyError
from llem_core.meters import CounterFacts
from llem_energy_zeus.config import ZeusConfig
from llem_energy_zeus.devices import Device, Domain
from llem_energy_zeus.opening import Opened
from llem_energy_zeus.sampler import ZeusSampler
from llem_energy_zeus.samples import PowerReader

GPU_COUNTER = CounterFacts(period_s=0.1, step_j=0.001, gain_half_width=0.06, limit_w=700.0)


class Monitor:
    """Stands in for ZeusMonitor: windows over counts that the test moves."""

    def __init__(self, index, **counts):
        self.index, self.counts, self.open, self.fail_at = index, counts, {}, set()

    def begin_window(self, key, sync_execution):
        assert sync_execution is False
        self._fail("begin")
        self.open[key] = dict(self.counts)

    def end_window(self, key, sync_execution):
        assert sync_execution is False
        before = self.open.pop(key)
        self._fail("end")
        used = {name: {self.index: self.counts[name] - before[name]} for name in self.counts}
        fields = {"gpu_energy": {}, "cpu_energy": None, "dram_energy": None}
        return SimpleNamespace(**(fields | used))

    def _fail(self, where):
        if where in self.fail_at:
            raise RuntimeError("the device fell off the bus")


class Reader:
    """Gives the powers once they are released, and holds the thread before and after."""

    def __init__(self, powers):
        self.powers = list(powers)
        self.may_read, self.all_read = threading.Event(), threading.Event()
        self.window_over = threading.Event()

    def power(self):
        self.may_read.wait(30)
        if not self.powers:
            self.all_read.set()
            self.window_over.wait(30)
            return 1.0
        value = self.powers.pop(0)
        if isinstance(value, Exception):
            raise value
        return value

    def release(self):
        self.may_read.set()
        assert self.all_read.wait(30)


def gpu(index, uuid, counter=GPU_COUNTER, **facts):
    domain = Domain(uuid, "gpu", "Some GPU", "gpu_energy", counter)
    return Device(index, (domain,), Monitor(index, gpu_energy=100.0), **facts)


def package(index):
    counter = replace(GPU_COUNTER, limit_w=None)
    domains = (
        Domain(f"cpu:{index}", "cpu", "package", "cpu_energy", counter),
        Domain(f"dram:{index}", "dram", "memory", "dram_energy", counter),
    )
    return Device(index, domains, Monitor(index, cpu_energy=5.0, dram_energy=1.0))


def started(*devices, readers=(), facts=None):
    opened = Opened(tuple(devices), tuple(readers), (), facts or {})
    sampler = ZeusSampler(SamplerSettings(0.001, ZeusConfig()), open_meter=lambda config: opened)
    sampler.start()
    return sampler


def domains_of(reading):
    return {domain.name: domain for domain in reading.domains}


def test_every_device_is_told_with_its_own_energy():
    first, second, cpu = gpu(0, "GPU-a"), gpu(1, "GPU-b"), package(0)
    sampler = started(first, second, cpu, facts={"library": "zeus 0"})
    sampler.begin("w")
    first.monitor.counts["gpu_energy"] += 3.0
    second.monitor.counts["gpu_energy"] += 0.5
    cpu.monitor.counts["cpu_energy"] += 2.0
    cpu.monitor.counts["dram_energy"] += 0.25
    reading = sampler.end("w")
    energies = {name: domain.energy_j for name, domain in domains_of(reading).items()}
    assert energies == {"GPU-a": 3.0, "GPU-b": 0.5, "cpu:0": 2.0, "dram:0": 0.25}
    assert [domain.kind for domain in reading.domains] == ["gpu", "gpu", "cpu", "dram"]
    assert {domain.method for domain in reading.domains} == {"counter"}
    assert reading.sensor == {"library": "zeus 0"}
    assert reading.ended_s >= reading.started_s


def test_windows_nest_and_overlap():
    device = gpu(0, "GPU-a")
    sampler = started(device)
    energies = {}
    steps = [
        ("begin", "a"),
        ("begin", "b"),
        ("end", "a"),
        ("begin", "c"),
        ("end", "b"),
        ("end", "c"),
    ]
    for verb, window in steps:
        if verb == "begin":
            sampler.begin(window)
        else:
            energies[window] = sampler.end(window).domains[0].energy_j
        device.monitor.counts["gpu_energy"] += 1.0
    assert energies == {"a": 2.0, "b": 3.0, "c": 2.0}


@pytest.mark.parametrize("where", ["begin", "end"])
def test_a_device_that_fails_leaves_the_others(where):
    lost, healthy = gpu(0, "GPU-lost"), gpu(1, "GPU-healthy")
    sampler = started(lost, healthy)
    lost.monitor.fail_at.add(where)
    sampler.begin("w")
    healthy.monitor.counts["gpu_energy"] += 4.0
    found = domains_of(sampler.end("w"))
    assert found["GPU-lost"].energy_j is None
    assert "the device fell off the bus" in found["GPU-lost"].reason
    assert found["GPU-healthy"].energy_j == 4.0
    lost.monitor.fail_at.clear()
    sampler.begin("next")
    lost.monitor.counts["gpu_energy"] += 1.0
    assert domains_of(sampler.end("next"))["GPU-lost"].energy_j == 1.0


@pytest.mark.parametrize(
    ("moved_j", "word"), [(0.0, "did not move"), (-5.0, "reset"), (1e6, "jumped")]
)
def test_a_count_that_is_no_energy_is_a_reason(moved_j, word):
    device = gpu(0, "GPU-a")
    sampler = started(device)
    sampler.begin("w")
    device.monitor.counts["gpu_energy"] += moved_j
    domain = sampler.end("w").domains[0]
    assert domain.energy_j is None
    assert word in domain.reason
    assert domain.uncertainty == ()


def test_energy_that_zeus_leaves_out_is_a_reason():
    device = package(0)
    del device.monitor.counts["dram_energy"]
    sampler = started(device)
    sampler.begin("w")
    device.monitor.counts["cpu_energy"] += 2.0
    found = domains_of(sampler.end("w"))
    assert found["cpu:0"].energy_j == 2.0
    assert found["dram:0"].energy_j is None
    assert "left it out" in found["dram:0"].reason


def test_a_gpu_without_a_counter_is_told_with_its_reason():
    old = replace(gpu(0, "GPU-old"), monitor=None, broken="it has no energy counter")
    new = gpu(1, "GPU-new")
    sampler = started(old, new)
    sampler.begin("w")
    new.monitor.counts["gpu_energy"] += 1.0
    found = domains_of(sampler.end("w"))
    assert found["GPU-old"].reason == "it has no energy counter"
    assert found["GPU-new"].energy_j == 1.0


def test_the_edges_take_the_highest_power_seen():
    device = gpu(0, "GPU-a")
    source = Reader([300.0, 500.0])
    sampler = started(device, readers=[PowerReader("GPU-a", source.power, lambda: 60.0)])
    sampler.begin("w")
    source.release()
    device.monitor.counts["gpu_energy"] += 1e-6
    reading = sampler.end("w")
    source.window_over.set()
    sampler.stop()
    terms = {term.name: term for term in reading.domains[0].uncertainty}
    assert terms["edges"].standard_j == pytest.approx(math.sqrt(2) * 500.0 * 0.1 / math.sqrt(3))
    assert not terms["edges"].common_to_runs
    assert terms["gain"].standard_j == pytest.approx(0.06 / math.sqrt(3) * 1e-6)
    assert terms["gain"].common_to_runs
    assert [row.power_w for row in reading.samples][-2:] == [300.0, 500.0]
    assert all(reading.started_s <= row.time_s <= reading.ended_s for row in reading.samples)
    assert {row.temperature_c for row in reading.samples} == {60.0}


def test_power_that_cannot_be_read_is_none():
    source = Reader([OSError("lost")])
    reader = PowerReader("GPU-a", source.power, lambda: 50.0)
    sampler = started(gpu(0, "GPU-a"), readers=[reader])
    sampler.begin("w")
    source.release()
    row = sampler.end("w").samples[-1]
    source.window_over.set()
    sampler.stop()
    assert row.power_w is None
    assert row.temperature_c == 50.0


def test_other_processes_and_notes_are_told():
    device = gpu(0, "GPU-a", list_pids=lambda: [2**22 + 1], notes=("MIG is enabled.",))
    sampler = started(device)
    sampler.begin("w")
    device.monitor.counts["gpu_energy"] += 1.0
    reading = sampler.end("w")
    assert reading.domains[0].shared_with == (f"{2**22 + 1} (of another container or user)",)
    assert reading.warnings == ("MIG is enabled.",)


def test_a_meter_that_cannot_be_opened_is_an_energy_error():
    def broken(config):
        raise OSError("driver/library version mismatch")

    sampler = ZeusSampler(SamplerSettings(0.1), open_meter=broken)
    with pytest.raises(EnergyError, match=r"version mismatch.*energy\.sampler"):
        sampler.start()
    sampler.stop()


def test_nothing_to_read_is_an_energy_error():
    old = replace(gpu(0, "GPU-old"), monitor=None, broken="it has no energy counter")
    with pytest.raises(EnergyError, match=r"GPU-old: it has no energy counter"):
        started(old)
    with pytest.raises(EnergyError, match=r"no GPU and no readable RAPL"):
        started()


def test_windows_are_begun_once_and_ended_once():
    sampler = started(gpu(0, "GPU-a"))
    with pytest.raises(EnergyError, match="'w'"):
        sampler.end("w")
    sampler.begin("w")
    with pytest.raises(EnergyError, match="open already"):
        sampler.begin("w")
    sampler.end("w")
    sampler.stop()
    sampler.stop()
    with pytest.raises(EnergyError, match="not started"):
        sampler.begin("w")
