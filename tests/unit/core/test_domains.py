"""Which GPUs are summed: those that the backend names, else those that cannot but be meant."""

from __future__ import annotations

import pytest
from llem_core.contracts import UsedDevices
from llem_core.contracts.sampler import DomainReading, EnergyReading
from llem_core.measure.energy.totals import record_energy, used_domains


def seen(*visible: bool | None) -> EnergyReading:
    gpus = [
        DomainReading(f"GPU-{i}", "gpu", 10.0, "counter", visible=v) for i, v in enumerate(visible)
    ]
    return EnergyReading("w", 0.0, 1.0, (*gpus, DomainReading("cpu:0", "cpu", 1.0, "counter")))


@pytest.mark.parametrize(
    ("visible", "uuids", "used"),
    [
        ((True, True, False), ["GPU-1"], [1]),
        ((None,), [], [0]),
        ((False,), [], [0]),
        ((None, None), [], []),
        # one is shown
        ((False, True, False), [], [1]),
        # two of three were chosen by hiding the third
        ((True, True, False), [], [0, 1]),
        # nothing is hidden: one of the two may idle
        ((True, True), [], []),
        ((False, False), [], []),
    ],
)
def test_gpus_in_use(visible: tuple[bool | None, ...], uuids: list[str], used: list[int]) -> None:
    names = [
        domain.name for domain in used_domains(seen(*visible), UsedDevices("gpu", frozenset(uuids)))
    ]
    assert names == [*(f"GPU-{i}" for i in used), "cpu:0"]
    assert [d.name for d in used_domains(seen(*visible), UsedDevices("cpu", frozenset(uuids)))] == [
        "cpu:0"
    ]


def test_gpus_that_nobody_names_are_a_reason() -> None:
    energy = record_energy(seen(True, True), None, UsedDevices("gpu"))
    # The host's joules alone must not pass for those of a run on a GPU.
    assert energy.total_j is None
    assert "CUDA_VISIBLE_DEVICES" in str(energy.reason)


def test_a_gpu_that_the_sampler_does_not_see_is_a_reason() -> None:
    energy = record_energy(seen(True), None, UsedDevices("gpu", frozenset({"GPU-elsewhere"})))
    assert energy.total_j is None
    assert "and not GPU-elsewhere" in str(energy.reason)


def test_one_of_two_gpus_alone_is_no_total() -> None:
    assert (
        record_energy(seen(True), None, UsedDevices("gpu", frozenset({"GPU-0", "GPU-1"}))).total_j
        is None
    )


def test_a_meter_of_the_whole_machine_is_enough() -> None:
    wall = EnergyReading("w", 0.0, 1.0, (DomainReading("wall", "other", 7.0, "counter"),))
    assert record_energy(wall, None, UsedDevices("gpu", frozenset({"GPU-0"}))).total_j == 7.0


def on_two_hosts() -> EnergyReading:
    domains = [
        DomainReading(f"GPU-{i}", "gpu", 10.0, "counter", host=host)
        for i, host in enumerate((None, "node", "node", "other"))
    ]
    host_parts = [
        DomainReading("cpu:0", "cpu", 1.0, "counter"),
        DomainReading("cpu:0@node", "cpu", 2.0, "counter", host="node"),
    ]
    return EnergyReading("w", 0.0, 1.0, (*domains, *host_parts))


@pytest.mark.parametrize(
    ("hosts", "uuids", "used"),
    [
        ({"node"}, ["GPU-1"], ["GPU-1", "cpu:0@node"]),
        ({"node", "other"}, ["GPU-2", "GPU-3"], ["GPU-2", "GPU-3", "cpu:0@node"]),
        # a name that two machines have in common is not enough
        ({"other"}, ["GPU-1"], []),
        ({"node"}, [], ["cpu:0@node"]),
        # here: the only GPU of this machine, and nothing of another
        ({None}, [], ["GPU-0", "cpu:0"]),
        ({None, "node"}, ["GPU-0", "GPU-1"], ["GPU-0", "GPU-1", "cpu:0", "cpu:0@node"]),
    ],
)
def test_a_model_is_given_the_domains_of_its_own_machines(
    hosts: set[str | None], uuids: list[str], used: list[str]
) -> None:
    devices = UsedDevices("gpu", frozenset(uuids), frozenset(hosts))
    assert [domain.name for domain in used_domains(on_two_hosts(), devices)] == used
