"""``CUDA_VISIBLE_DEVICES`` in all its forms."""

from __future__ import annotations

import pytest
from llem_core.contracts import DomainReading, EnergyReading
from llem_core.measure.energy.plausible import with_visibility
from llem_core.meters import VisibleGpus
from llem_core.meters import visible_gpus as resolve

UUIDS = ("GPU-aaaa-1", "GPU-aabb-2", "GPU-cccc-3")
ALIKE = ("H100", "H100", "H100")
A, B, C = UUIDS


def visible_gpus(
    value: str | None, names: tuple[str, ...], order: str | None = None
) -> VisibleGpus:
    variables = {"CUDA_VISIBLE_DEVICES": value, "CUDA_DEVICE_ORDER": order}
    return resolve({k: v for k, v in variables.items() if v is not None}, UUIDS, names)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, UUIDS),
        ("", ()),
        ("-1", ()),
        ("0", (A,)),
        ("2,0", (C, A)),
        (" 1 , 2 ", (B, C)),
        ("0,-1,2", (A,)),
        ("0,7,2", (A,)),
        ("7", ()),
        ("0,x,2", (A,)),
        ("1gpu,2", (B, C)),
        ("0,0", ()),
        ("1,2,1", ()),
        (A, (A,)),
        ("GPU-c,GPU-aab", (C, B)),
        ("gpu-c", ()),
        ("GPU-aa", ()),
        ("GPU-c,GPU-zz,GPU-aab", (C,)),
        ("GPU-c,GPU-cccc-3", ()),
        ("GPU-c,0", (C,)),
        ("GPU-", ()),
    ],
)
def test_each_form(value: str | None, shown: tuple[str, ...]) -> None:
    assert visible_gpus(value, ALIKE).uuids == shown


def test_entries_that_cuda_ignores_are_told() -> None:
    assert "'7' is no GPU here; CUDA ignores it and what" in (
        visible_gpus("0,7,2", ALIKE).note or ""
    )
    assert "twice" in (visible_gpus("0,0", ALIKE).note or "")
    assert visible_gpus("", ALIKE).note is None
    assert visible_gpus("-1", ALIKE).note is None


def test_mig_instances_name_their_board_where_they_can() -> None:
    old = visible_gpus("MIG-GPU-cccc-3/1/0", ALIKE)
    new = visible_gpus("MIG-11111111-2222", ALIKE)
    assert (old.uuids, old.mig) == ((C,), True)
    assert (new.uuids, new.mig) == (None, True)


def test_indices_among_different_kinds_need_an_order() -> None:
    mixed = ("H100", "A100", "H100")
    assert visible_gpus("0", mixed).uuids is None
    assert "PCI_BUS_ID" in (visible_gpus("0", mixed).note or "")
    assert visible_gpus("0", mixed, order="PCI_BUS_ID").uuids == (A,)
    assert visible_gpus("GPU-c", mixed).uuids == (C,)


def reading(*domains: DomainReading) -> EnergyReading:
    return EnergyReading("w", 0.0, 1.0, domains)


def gpu(name: str, visible: bool | None = None) -> DomainReading:
    return DomainReading(name, "gpu", 1.0, "counter", label="H100", visible=visible)


def test_a_sampler_that_knows_nothing_of_the_variable_is_helped() -> None:
    host = DomainReading("cpu:0", "cpu", 1.0, "counter")
    told = with_visibility(reading(gpu(A), host, gpu(B)), {"CUDA_VISIBLE_DEVICES": "1"})
    assert [domain.visible for domain in told.domains] == [False, None, True]
    assert told.warnings == ()


def test_what_a_sampler_has_told_stands() -> None:
    own = reading(gpu(A, visible=True), gpu(B))
    assert with_visibility(own, {"CUDA_VISIBLE_DEVICES": "1"}) is own


def test_what_cannot_be_told_stays_open_and_is_said_once() -> None:
    environ = {"CUDA_VISIBLE_DEVICES": "MIG-1-2"}
    told = with_visibility(reading(gpu(A), gpu(B)), environ)
    assert [domain.visible for domain in told.domains] == [None, None]
    assert len(told.warnings) == 1
    assert with_visibility(told, environ).warnings == told.warnings
