"""An exporter that misbehaves gives a reason, or a stated uncertainty: never a wrong number."""

import math

import pytest
from llem_core.contracts import SamplerSettings
from llem_core.errors import EnergyError
from llem_core.testing import PowerScript
from llem_energy_dcgm.config import DcgmConfig
from llem_energy_dcgm.sampler import DcgmSampler
from llem_energy_dcgm.testing import MISBEHAVIOURS, ScriptedGpu, VirtualClock

from tests.unit.dcgm.measuring import sampler_over, window

CURVE = PowerScript((0, 300.0), (40, 310.0))
LASTING = {
    "silent": "did not answer in time",
    "restart": "cannot be reached",
    "http_401": "401",
    "http_500": "500",
    "redirect": "302",
    "html": "web page",
    "empty": "empty",
    "broken": "DCGM exporter",
    "nan": "no number for its energy",
    "blank": "no number for its energy",
    "frozen": "stands still",
    "reset": "it was reset",
    "jump": "more than it can draw",
    "lost": "empty",
    "no_energy": "no number for its energy",
}


def test_each_misbehaviour_is_tried() -> None:
    assert {"none", "slow", *LASTING} == set(MISBEHAVIOURS)


@pytest.mark.parametrize("misbehaviour", LASTING)
def test_one_that_lasts_gives_null_with_the_reason(misbehaviour: str) -> None:
    done = window(CURVE, misbehaviour=misbehaviour, from_s=33.0)
    assert done.domain.energy_j is None
    assert LASTING[misbehaviour] in str(done.domain.reason)
    assert not done.domain.uncertainty
    assert done.waited_s < 8.0


@pytest.mark.parametrize("counter", [True, False], ids=["counter", "power"])
@pytest.mark.parametrize("misbehaviour", sorted(set(LASTING) - {"reset", "jump"}))
def test_one_that_passes_costs_nothing(misbehaviour: str, counter: bool) -> None:
    """The counter goes on meanwhile; power is interpolated over two or three seconds."""
    gpu = ScriptedGpu(CURVE, has_energy=counter)
    done = window([gpu], misbehaviour=misbehaviour, from_s=30.0, until_s=32.0)
    assert done.error_j <= done.stated_j


@pytest.mark.parametrize("misbehaviour", ["restart", "frozen", "nan"])
def test_power_is_not_invented_over_a_long_time_without_any(misbehaviour: str) -> None:
    gpu = ScriptedGpu(CURVE, has_energy=False)
    done = window([gpu], misbehaviour=misbehaviour, from_s=28.0, until_s=40.0)
    assert done.domain.energy_j is None
    assert done.domain.reason


@pytest.mark.parametrize("misbehaviour", ["reset", "jump"])
def test_a_counter_that_leaps_within_the_window_is_no_energy(misbehaviour: str) -> None:
    done = window(CURVE, misbehaviour=misbehaviour, from_s=30.0, until_s=32.0)
    assert done.domain.energy_j is None
    before = window(CURVE, misbehaviour=misbehaviour, from_s=10.0, until_s=12.0)
    assert before.error_j <= before.stated_j


def test_slow_answers_leave_more_open() -> None:
    slow = window(CURVE, misbehaviour="slow", from_s=20.0)
    assert slow.error_j <= slow.stated_j
    assert slow.stated_j > 3 * window(CURVE).stated_j


def test_a_board_with_mig_has_no_energy_of_its_instances() -> None:
    done = window([ScriptedGpu(CURVE, instances=(1, 2))])
    assert len(done.reading.domains) == 1
    assert done.domain.energy_j is None
    assert "MIG" in str(done.domain.reason)


def test_a_gpu_that_is_lost_among_others_is_said() -> None:
    class Lost(ScriptedGpu):
        """Named until it is lost."""

    gpus = [ScriptedGpu(CURVE, uuid="GPU-1"), Lost(CURVE, uuid="GPU-2")]
    clock = VirtualClock()
    sampler, exporter = sampler_over(gpus, clock, {})
    sampler.start()
    sampler.begin("w")
    clock.sleep(5.0)
    exporter.scripted.gpus = gpus[:1]
    clock.sleep(10.0)
    kept, lost = sampler.end("w").domains
    sampler.stop()
    assert kept.energy_j is not None
    assert lost.energy_j is None
    assert "has not named it" in str(lost.reason)


@pytest.mark.parametrize("counter", [True, False], ids=["counter", "power"])
def test_what_never_changes_is_frozen(counter: bool) -> None:
    done = window(
        [ScriptedGpu(CURVE, has_energy=counter)],
        section={"longest_update_seconds": 5.0}, misbehaviour="frozen", from_s=0.0,
        until_s=math.inf,
    )  # fmt: skip
    assert done.domain.energy_j is None
    assert "frozen" in str(done.domain.reason)
    assert done.waited_s == 0.0


@pytest.mark.parametrize("misbehaviour", ["silent", "restart", "http_500", "html", "empty"])
def test_one_that_cannot_be_used_says_so_when_it_starts(misbehaviour: str) -> None:
    clock = VirtualClock()
    sampler, _ = sampler_over([ScriptedGpu(CURVE)], clock, {}, misbehaviour=misbehaviour)
    with pytest.raises(EnergyError, match="gpu-node:9400/metrics cannot be used"):
        sampler.start()
    sampler.stop()


def test_without_an_address_it_says_what_to_set() -> None:
    with pytest.raises(EnergyError, match=r"dcgm\.url"):
        DcgmSampler(SamplerSettings(0.1, DcgmConfig())).start()
