"""``CUDA_VISIBLE_DEVICES`` in all its forms."""

from __future__ import annotations

import pytest
from llem_energy_nvml.testing import SimulatedGpu, measure_window
from llem_energy_nvml.visible import visible_gpus

UUIDS = ("GPU-aaaa-1", "GPU-aabb-2", "GPU-cccc-3")
ALIKE = ("H100", "H100", "H100")
A, B, C = UUIDS


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
    assert visible_gpus(value, None, UUIDS, ALIKE).uuids == shown


def test_entries_that_cuda_ignores_are_told() -> None:
    assert "'7' is no GPU here; CUDA ignores it and what" in (
        visible_gpus("0,7,2", None, UUIDS, ALIKE).note or ""
    )
    assert "twice" in (visible_gpus("0,0", None, UUIDS, ALIKE).note or "")
    assert visible_gpus("", None, UUIDS, ALIKE).note is None
    assert visible_gpus("-1", None, UUIDS, ALIKE).note is None


def test_mig_instances_name_their_board_where_they_can() -> None:
    old = visible_gpus("MIG-GPU-cccc-3/1/0", None, UUIDS, ALIKE)
    new = visible_gpus("MIG-11111111-2222", None, UUIDS, ALIKE)
    assert (old.uuids, old.mig) == ((C,), True)
    assert (new.uuids, new.mig) == (None, True)


def test_indices_among_different_kinds_need_an_order() -> None:
    mixed = ("H100", "A100", "H100")
    assert visible_gpus("0", None, UUIDS, mixed).uuids is None
    assert "PCI_BUS_ID" in (visible_gpus("0", None, UUIDS, mixed).note or "")
    assert visible_gpus("0", "PCI_BUS_ID", UUIDS, mixed).uuids == (A,)
    assert visible_gpus("GPU-c", None, UUIDS, mixed).uuids == (C,)


def test_readings_say_what_is_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus = [SimulatedGpu(uuid=uuid) for uuid in UUIDS]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-cc")
    reading = measure_window(gpus, 1).reading
    assert [domain.visible for domain in reading.domains] == [False, False, True]
    assert reading.sensor["visible"] == [C]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-1-2")
    reading = measure_window(gpus, 1).reading
    assert [domain.visible for domain in reading.domains] == [None, None, None]
    assert any("MIG" in warning for warning in reading.warnings)
