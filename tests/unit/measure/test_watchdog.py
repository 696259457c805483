"""A run ends when its engine dies or its time is over, even if a call never returns."""

import os
import signal
import threading
import time
from collections.abc import Callable

import pytest
from llem_core.contracts import Batch, InferenceBackend, ModelInfo, Workload
from llem_core.errors import BackendError, ExperimentError, LLEMError
from llem_core.plugins import Plugins, use_plugins
from llem_core.processes import EngineProcess
from llem_core.testing import FakePlugin, ScriptedBackend, scripted_backend
from llenergymeasure import ExperimentResult, run_experiment

FOREVER_S = 600.0
MEASURE = {"warmup": {"enabled": False}, "baseline": {"enabled": False}}

# The interrupt may fall into the collector's callbacks, of hypothesis for one, which drop it and
# tell; it comes again.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


class Hosted(ScriptedBackend):
    """A backend whose engine is a process of its own."""

    def __init__(self, workload: Workload, meanwhile: Callable[["Hosted"], None]) -> None:
        super().__init__(workload)
        self.meanwhile = meanwhile
        self.engine: EngineProcess | None = None

    def load(self) -> ModelInfo:
        info = super().load()
        self.engine = EngineProcess(["sh", "-c", "echo serving; exec sleep 600"], "the engine")
        self.engine.wait_until(lambda: "serving" in self.engine_output(), 60)
        return ModelInfo(
            parameters=info.parameters,
            parameters_non_embedding=info.parameters_non_embedding,
            devices=info.devices,
            process_ids=(self.engine.pid,),
        )

    def generate(self, batch: Batch) -> list[tuple[float, ...]]:
        self.meanwhile(self)
        return super().generate(batch)

    def engine_output(self) -> str:
        return "" if self.engine is None else self.engine.output.tail()

    def unload(self) -> None:
        engine, self.engine = self.engine, None
        if engine is not None:
            engine.end()
        super().unload()

    def kill(self) -> None:
        assert self.engine is not None
        os.kill(self.engine.pid, signal.SIGKILL)


def kill_and_hang(backend: Hosted) -> None:
    backend.kill()
    time.sleep(FOREVER_S)


def hang_catching_all(backend: Hosted) -> None:
    backend.kill()
    try:
        threading.Event().wait(FOREVER_S)
    except Exception:  # noqa: BLE001 - as engines do that retry
        time.sleep(FOREVER_S)


def kill_and_raise(backend: Hosted) -> None:
    backend.kill()
    raise RuntimeError("EngineDeadError")


def kill_and_return(backend: Hosted) -> None:
    backend.kill()
    assert backend.engine is not None
    os.waitid(os.P_PID, backend.engine.pid, os.WEXITED | os.WNOWAIT)


def measure(
    meanwhile: Callable[[Hosted], None], made: list[Hosted], **options: object
) -> ExperimentResult:
    def create(workload: Workload) -> InferenceBackend:
        made.append(Hosted(workload, meanwhile))
        return made[-1]

    plugins = Plugins()
    plugins.register(FakePlugin(backends=[scripted_backend(create=create)]))
    with use_plugins(plugins):
        return run_experiment(model="any", backend="scripted", n=1, **MEASURE, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "meanwhile", [kill_and_hang, hang_catching_all, kill_and_raise, kill_and_return]
)
def test_an_engine_that_is_killed_in_mid_run_is_an_error_that_names_it(
    meanwhile: Callable[[Hosted], None],
) -> None:
    made: list[Hosted] = []
    before = signal.getsignal(signal.SIGURG)
    with pytest.raises(
        BackendError, match=r"process \d+ was ended by SIGKILL; the end .*:\nserving"
    ):
        measure(meanwhile, made)
    assert made[0].calls[-1] == "unload"
    assert signal.getsignal(signal.SIGURG) == before
    assert "llem-run-watch" not in {thread.name for thread in threading.enumerate()}


def test_an_engine_that_is_ended_by_unload_is_no_error() -> None:
    made: list[Hosted] = []
    measure(lambda backend: None, made)
    assert made[0].engine is None


def test_a_run_past_its_time_is_an_error_and_its_engine_is_ended() -> None:
    engines: list[int] = []

    def hang(backend: Hosted) -> None:
        assert backend.engine is not None
        engines.append(backend.engine.pid)
        time.sleep(FOREVER_S)

    with pytest.raises(ExperimentError, match=r"was not done after 2 s and was ended"):
        measure(hang, [], timeout_s=2.0)
    with pytest.raises(ProcessLookupError):
        os.kill(engines[0], 0)


@pytest.mark.parametrize("timeout_s", [FOREVER_S, 31_536_000.0, float("inf")])
def test_a_run_within_its_time_is_not_disturbed(timeout_s: float) -> None:
    assert measure(lambda backend: None, [], timeout_s=timeout_s).n_requests == 1


def test_outside_the_main_thread_a_run_ends_as_soon_as_python_runs() -> None:
    errors: list[LLEMError] = []

    def spin(backend: Hosted) -> None:
        while True:
            time.sleep(0.01)

    def run() -> None:
        try:
            measure(spin, [], timeout_s=0.2)
        except LLEMError as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(60)
    assert [type(error) for error in errors] == [ExperimentError]
