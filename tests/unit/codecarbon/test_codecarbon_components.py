from types import SimpleNamespace

import pytest
from llem_energy_codecarbon.components import Board, Chip, Memory, Processor, make_components


def energy(joules):
    return SimpleNamespace(kWh=joules / 3.6e6)


class Hardware:
    """What CodeCarbon's hardware classes have in common."""

    _mode, _tdp, chip_part = "cpu_load", 65, "GPU"

    def __init__(self, power_w=10.0, **fields):
        self.power_w, self.started = power_w, 0
        self.__dict__.update(fields)

    def get_model(self):
        return "Some Model"

    def start(self):
        self.started += 1

    def measure_power_and_energy(self, last_duration):
        return SimpleNamespace(W=self.power_w), energy(self.power_w * last_duration)


class Device:
    """What CodeCarbon's GPU devices have."""

    def __init__(self, index=0, uuid="GPU-a", has_counter=True):
        self.index, self.uuid = index, uuid
        self._has_counter, self._use_power_fallback = has_counter, not has_counter
        self.power_w, self.started = 100.0, 0

    def get_static_details(self):
        return {"uuid": self.uuid, "gpu_index": self.index, "name": "Some GPU", "power_limit": 700}

    def start(self):
        self.started += 1

    def delta(self, duration_s):
        return {
            "delta_energy_consumption": energy(self.power_w * duration_s),
            "power_usage": SimpleNamespace(W=self.power_w),
        }


def board(device):
    return Board(device, make_time=lambda seconds: seconds)


@pytest.mark.parametrize(
    ("mode", "method"),
    [
        ("cpu_load", "estimated"),
        ("constant", "estimated"),
        ("intel_rapl", "counter"),
        ("intel_power_gadget", "counter"),
    ],
)
def test_the_processors_label_is_what_was_used(mode, method):
    interface = SimpleNamespace(_rapl_files=[SimpleNamespace(sample_skipped=False)])
    processor = Processor(Hardware(_mode=mode, _intel_interface=interface))
    (domain,) = processor.domains
    assert (domain.name, domain.kind, domain.method) == ("cpu", "cpu", method)
    assert (domain.meter is None) == (method == "estimated")
    (share,) = processor.measure(2.0)
    assert share.energy_j == pytest.approx(20.0)
    assert share.lost is None


def test_a_rapl_zone_that_was_skipped_is_a_loss():
    zones = [SimpleNamespace(sample_skipped=False), SimpleNamespace(sample_skipped=False)]
    interface = SimpleNamespace(_rapl_files=zones)
    processor = Processor(Hardware(_mode="intel_rapl", _intel_interface=interface))
    assert processor.measure(1.0)[0].lost is None
    zones[1].sample_skipped = True
    assert "RAPL zone" in processor.measure(1.0)[0].lost
    interface._rapl_files = []
    assert "no RAPL zone" in processor.measure(1.0)[0].lost


def test_memory_is_always_an_estimate():
    memory = Memory(Hardware())
    assert memory.domains[0].method == "estimated"
    assert memory.measure(3.0)[0].energy_j == pytest.approx(30.0)
    assert "size" in Memory(Hardware(power_w=0)).measure(3.0)[0].lost


def test_a_board_with_a_counter_is_measured():
    device = Device()
    subject = board(device)
    (domain,) = subject.domains
    assert (domain.name, domain.label, domain.method) == ("GPU-a", "Some GPU", "counter")
    assert domain.meter.limit_w == 700
    (share,) = subject.measure(2.0)
    assert (share.energy_j, share.lost) == (pytest.approx(200.0), None)


def test_a_counter_that_failed_is_a_loss_and_the_device_starts_anew():
    device = Device()
    subject = board(device)
    device._use_power_fallback = True
    assert "reset" in subject.measure(1.0)[0].lost
    assert device.started == 1


def test_a_board_without_a_counter_is_integrated_until_its_power_is_lost():
    device = Device(has_counter=False)
    subject = board(device)
    assert subject.domains[0].method == "integrated"
    assert subject.measure(1.0)[0].lost is None
    device.power_w = 0.0
    assert "power" in subject.measure(1.0)[0].lost
    assert device.started == 0


def test_a_board_without_a_uuid_is_named_by_its_index():
    assert board(Device(index=3, uuid=None)).domains[0].name == "gpu:3"


def test_a_chip_is_named_by_its_part():
    (domain,) = Chip(Hardware(chip_part="CPU")).domains
    assert (domain.name, domain.kind, domain.method) == ("cpu", "cpu", "integrated")


def hardware_named(name, **fields):
    return type(name, (Hardware,), {})(**fields)


def test_all_hardware_is_wrapped_gpus_first():
    gpus = hardware_named("GPU", devices=SimpleNamespace(devices=[Device(0, "A"), Device(1, "B")]))
    found = make_components(
        [hardware_named("RAM"), hardware_named("CPU"), gpus], lambda seconds: seconds
    )
    assert [component.domains[0].name for component in found] == ["A", "B", "cpu", "ram"]


def test_hardware_that_is_not_known_is_an_error():
    with pytest.raises(AttributeError, match="Abacus"):
        make_components([hardware_named("Abacus")], lambda seconds: seconds)
