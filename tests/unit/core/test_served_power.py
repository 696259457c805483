"""Joules per token of a window over a scripted engine and its power are known exactly."""

import pytest
from llem_core.contracts import Chunk, DecoderConfig, Prompt, SamplerSettings, Workload
from llem_core.testing import (
    ManualClock,
    ScriptedSampler,
    ScriptedServer,
    ScriptedServingConfig,
    ServedPower,
)


def test_joules_per_token_of_a_window_follow_from_the_script() -> None:
    clock = ManualClock()
    power = ServedPower(idle_w=100.0, per_request_w=50.0)
    section = ScriptedServingConfig(slots=2, first_token_time_s=0.5, token_time_s=0.5)
    server = ScriptedServer(
        Workload("any", "auto", 32, 8, 42, DecoderConfig(), section), clock, clock.sleep, power
    )
    sampler = ScriptedSampler(SamplerSettings(0.5), domains=[("GPU-a", "gpu", power)], clock=clock)
    server.load()
    clock.sleep(3.0)
    sampler.start()
    for request in server.prepare([Prompt(i, "one", 8) for i in range(2)], "measured"):
        server.submit(request)
    tokens = 0
    sampler.begin("window")  # both are in hand from 3 to 7 s
    while clock() < 5.0:
        tokens += sum(a.tokens for a in server.arrived(0.5) if isinstance(a, Chunk))
    reading = sampler.end("window")
    assert tokens == 8
    assert reading.domains[0].energy_j == pytest.approx(2.0 * 200.0)
    assert {sample.power_w for sample in reading.samples} == {200.0}
    clock.sleep(2.0)
    assert power.power_w(clock()) == 100.0
