"""What the NVML sampler says of ``CUDA_VISIBLE_DEVICES``."""

from __future__ import annotations

import pytest
from llem_energy_nvml.testing import SimulatedGpu, measure_window

UUIDS = ("GPU-aaaa-1", "GPU-aabb-2", "GPU-cccc-3")
C = UUIDS[2]


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
