"""For every rule of serving, a backend that breaks it and no other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from llem_core.contracts import (
    Arrival,
    Chunk,
    DecoderConfig,
    Prompt,
    Purpose,
    RequestOutput,
    ServedRequest,
    Workload,
)
from llem_core.errors import BackendError
from llem_core.plugins import Plugins, use_plugins
from llem_core.testing import (
    FakePlugin,
    ManualClock,
    ScriptedServer,
    ScriptedServingConfig,
    ServingContract,
    run_contract,
    scripted_server,
)
from llem_core.testing.conformance import checks_of
from llenergymeasure import run_experiment

SLOW = {"first_token_time_s": 0.002, "token_time_s": 0.001}


class Blocking(ScriptedServer):
    def submit(self, request: ServedRequest) -> None:
        super().submit(request)
        self.kept = [*getattr(self, "kept", []), *self._wait()]

    def _wait(self) -> list[Arrival]:
        found: list[Arrival] = []
        while not any(isinstance(arrival, RequestOutput) for arrival in found):
            found += super().arrived(1.0)
        self._sleep(0.001)
        return found

    def arrived(self, timeout_s: float) -> Sequence[Arrival]:
        kept, self.kept = getattr(self, "kept", []), []
        return kept or super().arrived(timeout_s)


class ChunkAfterEnd(ScriptedServer):
    def arrived(self, timeout_s: float) -> Sequence[Arrival]:
        found = list(super().arrived(timeout_s))
        ends = [a for a in found if isinstance(a, RequestOutput)]
        return [*found, *(Chunk(end.index, end.ended_s) for end in ends)]


class Miscounts(ScriptedServer):
    def arrived(self, timeout_s: float) -> Sequence[Arrival]:
        return [
            replace(a, tokens=(a.tokens or 0) + 1) if isinstance(a, Chunk) else a
            for a in super().arrived(timeout_s)
        ]


class Milliseconds(ScriptedServer):
    def arrived(self, timeout_s: float) -> Sequence[Arrival]:
        return [
            replace(a, time_s=1000 * a.time_s) if isinstance(a, Chunk) else a
            for a in super().arrived(timeout_s)
        ]


class DiesOfCancelling(ScriptedServer):
    def cancel(self, index: int) -> None:
        raise RuntimeError("not implemented")


class WaitsForAll(ScriptedServer):
    def unload(self) -> None:
        if self._due:
            raise RuntimeError("requests are in flight")


class Consumes(ScriptedServer):
    def prepare(self, prompts: Sequence[Prompt], purpose: Purpose) -> Sequence[ServedRequest]:
        made = super().prepare(prompts, purpose)
        return [replace(request, payload=[request.payload, None]) for request in made]

    def submit(self, request: ServedRequest) -> None:
        # Batches are run again by other rules, under the same indices.
        limit, index = request.payload
        if index not in {None, request.index}:
            raise RuntimeError("it has been sent")
        request.payload[1] = request.index
        super().submit(replace(request, payload=limit))


class Falls(ScriptedServer):
    def engine_counters(self) -> Mapping[str, float]:
        return {"requests_waiting": -float(self._submitted)}


WRONG = [
    ("V2", Blocking),
    ("V3", ChunkAfterEnd),
    ("V4", Miscounts),
    ("V5", Milliseconds),
    ("V6", DiesOfCancelling),
    ("V7", WaitsForAll),
    ("V8", Consumes),
    ("V9", Falls),
]


def outcomes(kind: type[ScriptedServer], **section: object) -> dict[str, str]:
    given = {
        "spec": scripted_server(create=kind),
        "missing_model": None,
        "section": {**SLOW, **section},
        "silence_limit_s": 0.5,
        "import_ratio": 100.0,  # this module imports pytest
    }
    return {
        code: outcome.message
        for code, outcome in run_contract(type("Tried", (ServingContract,), given)).items()
        if outcome.state == "failed"
    }


@pytest.mark.parametrize(("code", "kind"), WRONG, ids=[kind.__name__ for _, kind in WRONG])
def test_the_wrong_server_breaks_its_rule_and_no_other(
    code: str, kind: type[ScriptedServer]
) -> None:
    assert list(outcomes(kind)) == [code]


def test_a_request_that_fails_breaks_the_first_rule() -> None:
    assert "request 4 failed: scripted failure" in outcomes(ScriptedServer, failing=[4])["V1"]


@pytest.mark.parametrize("section", [{}, {"slots": 1}, {"tokens_per_chunk": 4}])
def test_the_scripted_server_breaks_none(section: dict[str, object]) -> None:
    assert outcomes(ScriptedServer, **section) == {}


def test_every_rule_of_serving_has_a_wrong_server() -> None:
    codes = {rule.code for _, rule in checks_of(ServingContract) if rule.code.startswith("V")}
    assert codes == {code for code, _ in WRONG} | {"V1"}


def server(clock: ManualClock, **section: object) -> ScriptedServer:
    made = ScriptedServingConfig.model_validate(section)
    workload = Workload("any", "auto", 32, 4, 42, DecoderConfig(), made)
    return ScriptedServer(workload, clock, clock.sleep)


def test_scripted_times_are_exact_and_requests_queue_for_slots() -> None:
    clock = ManualClock(100.0)
    served = server(clock, slots=1, first_token_time_s=0.5, token_time_s=0.25)
    for request in served.prepare([Prompt(0, "a b", 3), Prompt(1, "c", 2)], "measured"):
        served.submit(request)
    arrivals: list[Arrival] = []
    while clock() < 103:
        arrivals += served.arrived(1.0)
    chunks = [(a.index, a.time_s) for a in arrivals if isinstance(a, Chunk)]
    assert chunks == [(0, 100.5), (0, 100.75), (0, 101.0), (1, 101.5), (1, 101.75)]
    second = [a for a in arrivals if isinstance(a, RequestOutput)][1]
    assert (second.started_s, second.queued_s, second.ended_s) == (101.0, 1.0, 101.75)


def test_an_engine_that_dies_says_so_where_it_is_waited_for() -> None:
    served = server(ManualClock(), dies_after=0)
    served.submit(served.prepare([Prompt(0, "a", 1)], "measured")[0])
    with pytest.raises(BackendError, match="scripted death"):
        served.arrived(1.0)


def test_a_serving_backend_runs_in_the_drive_of_batches() -> None:
    plugins = Plugins()
    plugins.register(FakePlugin(backends=[scripted_server()]))
    with use_plugins(plugins):
        result = run_experiment(
            model="any",
            backend="scripted_server",
            n=6,
            max_output_tokens=5,
            baseline={"enabled": False},
            warmup={"thermal_floor_seconds": 0},
            scripted_server={"slots": 2, "first_token_time_s": 0.004, "token_time_s": 0.001},
        )
    assert result.output_tokens == 30
    assert result.processes[0].n_batches == 1
    assert result.queue_time is not None
    assert result.queue_time.p99_s > 0.004
    assert result.time_to_first_token is not None


def test_a_backend_of_neither_class_is_refused_by_name() -> None:
    class Neither:
        def __init__(self, workload: Workload) -> None: ...

    plugins = Plugins()
    plugins.register(FakePlugin(backends=[scripted_server(create=Neither)]))  # type: ignore[arg-type]
    with (
        use_plugins(plugins),
        pytest.raises(BackendError, match="gives Neither, which is neither an InferenceBackend"),
    ):
        run_experiment(model="any", backend="scripted_server", n=1, baseline={"enabled": False})
