"""The life of vLLM's processes, and what they tell; both drives stand on it."""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import multiprocessing.resource_tracker
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO, TypeVar

from llem_core.contracts import DeviceInfo, MemoryReading, ModelInfo, RunFacts, Workload
from llem_core.errors import BackendError
from llem_core.models.architecture import dropped_quantisation
from llem_core.models.checkpoint import checkpoint_fields
from llem_core.models.shapes import is_shape
from llem_core.models.tokenizer import ByteTokenizer, Tokenizer
from llem_core.processes import CapturedOutput, guard
from llem_core.processes.host import PEAK_SOURCE, cpu_name, peak_bytes, reset_peaks

from llem_vllm.arguments import engine_arguments
from llem_vllm.config import VllmConfig
from llem_vllm.engine.recorder import Recorder
from llem_vllm.errors import engine_errors
from llem_vllm.model import load_tokenizer, model_facts, write_shape
from llem_vllm.quiet import contained, lead_log

Engine = TypeVar("Engine")
_DTYPES = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16"}
_WIDTHS = {"fp32": 4, "fp16": 2, "bf16": 2}
_LENGTH_BYTES = 200_000
_GONE_S = 10.0
_PR_SET_PDEATHSIG = 1
_GPU_SOURCE = "torch.cuda.max_memory_allocated of vLLM's workers"


class EngineHost:
    """Starts one engine and ends it with every process that it started.

    Args:
        workload: the experiment.

    Attributes:
        recorder: what the engine said of its steps.
        tokenizer: of the model.
        pids: the engine's processes that compute or schedule.
        lora: what requests are given for the adapter; ``None`` without one.
    """

    def __init__(self, workload: Workload) -> None:
        assert isinstance(workload.section, VllmConfig)
        self._workload, self._section = workload, workload.section
        self.recorder = Recorder()
        self.tokenizer: Tokenizer = ByteTokenizer(512)
        self.pids: tuple[int, ...] = ()
        self.lora: Any = None
        self._config: Any = None
        self._remark: str | None = None
        self._token = ""
        self._guard: subprocess.Popen[bytes] | None = None
        self._output = CapturedOutput()
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._children: frozenset[int] = frozenset()
        self._was_reset = False
        self._log: TextIO | None = None

    def start(self, make: Callable[[dict[str, Any]], Engine]) -> Engine:
        """Start the engine and read the tokenizer.

        Args:
            make: makes the engine of its arguments.
        """
        self._mark()
        folder = None
        if is_shape(self._workload.model):
            self._folder = tempfile.TemporaryDirectory(prefix="llem-shape-")
            folder = Path(self._folder.name)
        doing = f"loading {self._workload.model}"
        self._keep_quiet()
        with (
            engine_errors(doing, self.printed_at_length),
            contained(self._output),
            _environment(self._token),
        ):
            if folder is not None:
                write_shape(self._workload.model, folder)
            engine = make(engine_arguments(self._workload, folder))
        self._keep_quiet()  # vLLM has set up its log anew
        return engine

    def describe(self, vllm_config: Any) -> None:
        """Read what requests are made with; the engine is running."""
        self._config = vllm_config
        hf_config = vllm_config.model_config.hf_config
        with engine_errors("reading the tokenizer", self.printed), contained(self._output):
            if is_shape(self._workload.model):
                self.tokenizer = ByteTokenizer(hf_config.get_text_config().vocab_size)
            else:
                self.tokenizer, self._remark = load_tokenizer(self._workload, hf_config)
        if self._workload.lora is not None:
            from vllm.lora.request import LoRARequest

            path = str(Path(self._workload.lora.adapter).expanduser())
            self.lora = LoRARequest("adapter", 1, path)

    def info(self, workers: Sequence[Mapping[str, Any]], core_pids: Sequence[int]) -> ModelInfo:
        """The facts of the loaded model.

        Args:
            workers: what each worker told of itself.
            core_pids: processes of the scheduler.
        """
        self.pids = tuple(sorted({*core_pids, *(int(worker["pid"]) for worker in workers)}))
        workload, section = self._workload, self._section
        model = self._config.model_config
        with contained(self._output):
            facts = model_facts(
                model.hf_config,
                speculative=section.speculative,
                lora=workload.lora is not None,
            )
        is_random = is_shape(workload.model) or section.load_format == "dummy"
        notes = [self._remark] if self._remark else []
        if section.load_format == "dummy":
            stated = checkpoint_fields(workload.model, section.revision)
            notes += dropped_quantisation(stated or {})
        return ModelInfo(
            parameters=facts.parameters,
            parameters_non_embedding=facts.non_embedding,
            active_parameters_non_embedding=facts.active,
            n_layers=getattr(model.hf_config.get_text_config(), "num_hidden_layers", None),
            compute=facts.compute,
            dtype=self._dtype,
            weights_bytes=self._weights_bytes(workers, facts.parameters),
            devices=_devices(workers),
            random_weights=is_random,
            effective_settings=self._settings(workers),
            notes=tuple(notes),
            process_ids=self.pids,
        )

    @property
    def max_model_len(self) -> int:
        """Most positions of a request."""
        return int(self._config.model_config.max_model_len)

    def reset(self) -> None:
        """Count peak memory of the processes and the engine's figures afresh."""
        self._was_reset = reset_peaks(self.pids)
        self.recorder.begin()

    def memory(self, gpu_peaks: Sequence[int | None]) -> MemoryReading:
        """Peak memory since ``reset``.

        Args:
            gpu_peaks: what each worker's device had at the most (bytes); ``None`` on a CPU.
        """
        peaks = [peak for peak in gpu_peaks if peak is not None]
        if peaks:
            return MemoryReading(sum(peaks), _GPU_SOURCE)
        peak = peak_bytes(self.pids) if self._was_reset else None
        if peak is None:
            return MemoryReading(None, PEAK_SOURCE, "the system does not tell a process's peak")
        return MemoryReading(peak, PEAK_SOURCE)

    def facts(self) -> RunFacts:
        """What the engine counted since ``reset``."""
        counted = self.recorder.since()
        cache = self._config.cache_config
        if not self._section.speculative:
            del counted["draft_tokens"], counted["accepted_draft_tokens"]
        values: dict[str, object] = {
            **counted,
            "kv_cache_peak_usage_ratio": round(self.recorder.kv_cache_usage, 4),
            "kv_cache_blocks": cache.num_gpu_blocks,
            "kv_cache_block_tokens": cache.block_size,
            "running_requests_peak": self.recorder.running,
            "waiting_requests_peak": self.recorder.waiting,
        }
        notes = []
        if counted["preemptions"]:
            notes.append(
                f"vLLM preempted requests {counted['preemptions']} times for want of room in the "
                "key-value cache, and computed them again: lower vllm.max_num_seqs, or give the "
                "cache more memory (vllm.kv_cache_memory_bytes, vllm.gpu_memory_utilization)."
            )
        return RunFacts(values, tuple(notes))

    def printed(self) -> str:
        """The end of what the engine's processes printed."""
        return self._output.tail()

    def printed_at_length(self) -> str:
        """More of it: the cause of a failure stands above what follows from it."""
        descriptor = self._output.fileno()
        if descriptor < 0:
            return ""
        start = max(0, os.fstat(descriptor).st_size - _LENGTH_BYTES)
        return os.pread(descriptor, _LENGTH_BYTES, start).decode(errors="replace")

    def dead(self, error: BaseException | None = None) -> BackendError:
        """The error to raise when the engine's process has ended."""
        from vllm.v1.engine.exceptions import EngineDeadError

        with contextlib.suppress(BackendError), engine_errors("generating", self.printed_at_length):
            raise error or EngineDeadError
        tail = self.printed()
        printed = f"the end of what it printed:\n{tail}" if tail else "it printed nothing"
        return BackendError(f"vLLM's engine has ended; {printed}")

    def end(self, close: Callable[[], None]) -> None:
        """End the engine and everything that it started; harmless when that is done.

        Args:
            close: asks the engine to end.
        """
        if self._token:
            with contextlib.suppress(Exception), contained(self._output):
                # Whatever it says on its way out: nothing of it is left below.
                close()
            guard.kill_all(self._token)
            _kill(self.pids, self._children)
        ended, self._guard, self._token = self._guard, None, ""
        if ended is not None:
            with contextlib.suppress(OSError):
                ended.communicate()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None
        self.pids = ()
        self._quiet_no_more()
        self._output.close()

    def _mark(self) -> None:
        """Have everything that is started from here on found again, even if this process dies."""
        with contained(self._output):
            # Python's own helper, which outlives the engine and complains when all is over.
            multiprocessing.resource_tracker.ensure_running()
        worker = os.environ.get(guard.MARKER, "")
        self._token = f"{worker}{uuid.uuid4().hex}."
        self._guard = None if worker else guard.start_guard(self._token)
        self._children = frozenset(p.pid or 0 for p in multiprocessing.active_children())

    def _keep_quiet(self) -> None:
        """What vLLM says in this process from now on goes where its processes print."""
        if self._log is None:
            self._log = os.fdopen(os.dup(self._output.fileno()), "w", buffering=1)
        lead_log(self._log)

    def _quiet_no_more(self) -> None:
        log, self._log = self._log, None
        if log is not None:
            lead_log(io.StringIO())
            log.close()

    def _weights_bytes(
        self, workers: Sequence[Mapping[str, Any]], parameters: int | None
    ) -> int | None:
        """Memory of the weights: as the workers see it, or as it must be.

        On a CPU vLLM packs weights for its kernels, where the model does not show them any more.
        """
        if all(worker["kind"] == "gpu" for worker in workers):
            return sum(int(worker["weights_bytes"]) for worker in workers)
        width = _WIDTHS.get(self._dtype)
        return None if parameters is None or width is None else parameters * width

    @property
    def _dtype(self) -> str:
        model = self._config.model_config
        name = str(model.dtype).removeprefix("torch.")
        return str(model.quantization) if model.quantization else _DTYPES.get(name, name)

    def _settings(self, workers: Sequence[Mapping[str, Any]]) -> dict[str, object]:
        """What the section's nulls come to."""
        config = self._config
        model, cache, scheduler = config.model_config, config.cache_config, config.scheduler_config
        return {
            "dtype": self._dtype,
            "quantization": model.quantization,
            "max_model_len": model.max_model_len,
            "attn_implementation": ", ".join(workers[0]["attention"]) or None,
            "kv_cache_dtype": str(cache.cache_dtype),
            "block_size": cache.block_size,
            "kv_cache_blocks": cache.num_gpu_blocks,
            "enable_prefix_caching": cache.enable_prefix_caching,
            "max_num_seqs": scheduler.max_num_seqs,
            "max_num_batched_tokens": scheduler.max_num_batched_tokens,
            "enable_chunked_prefill": scheduler.enable_chunked_prefill,
            "async_scheduling": scheduler.async_scheduling,
            "enforce_eager": model.enforce_eager,
            "tensor_parallel_size": config.parallel_config.tensor_parallel_size,
            "pipeline_parallel_size": config.parallel_config.pipeline_parallel_size,
            "num_threads": workers[0]["num_threads"],
            "checkpoint_commit": getattr(model.hf_config, "_commit_hash", None),
        }


def take_statistics(manager: Any, recorder: Recorder) -> None:
    """Have the recorder alone take an engine's statistics, not what prints and exports them."""
    if manager is None or not isinstance(getattr(manager, "stat_loggers", None), list):
        raise BackendError(
            "this vLLM hands out no statistics where they are expected; llem-vllm needs vLLM 0.32"
        )
    manager.stat_loggers[:] = [recorder]


def core_pids(engine_core: Any) -> list[int]:
    """Processes of an engine's scheduler."""
    manager = engine_core.resources.engine_manager
    return [process.pid for process in manager.processes]


@contextlib.contextmanager
def _environment(token: str) -> Iterator[None]:
    """Variables that the engine's processes are started with; `contained` takes them back."""
    wanted = {
        guard.MARKER: token,
        "VLLM_NO_USAGE_STATS": "1",
    }
    os.environ.update(wanted)
    _Forks.begin()
    try:
        yield
    finally:
        _Forks.starting = False


class _Forks:
    """Has what is forked while an engine starts die with the process that forked it.

    vLLM forks its engine where it can, since importing it takes many seconds; a fork does not
    carry the token in what the system shows of its environment.
    """

    starting = False
    registered = False

    @classmethod
    def begin(cls) -> None:
        """From now on, until ``starting`` is false again."""
        if not cls.registered and sys.platform == "linux":
            import ctypes

            libc = ctypes.CDLL(None)
            cls.registered = True
            os.register_at_fork(
                after_in_child=lambda: (
                    cls.starting and libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
                )
            )
        cls.starting = True


def _devices(workers: Sequence[Mapping[str, Any]]) -> tuple[DeviceInfo, ...]:
    found = [
        DeviceInfo(worker["kind"], worker["name"] or cpu_name(), worker["uuid"])
        for worker in workers
    ]
    return tuple(dict.fromkeys(found))


def _kill(pids: Sequence[int], before: frozenset[int]) -> None:
    """Kill processes and those started since, with what they started; wait for their end."""
    mine = [p for p in multiprocessing.active_children() if p.pid not in before]
    found = guard.descendants({*pids, *(p.pid for p in mine if p.pid is not None)})
    alive = {pid for pid in found if pid != os.getpid() and Path(f"/proc/{pid}").exists()}
    for pid in alive:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    for process in mine:
        process.join(_GONE_S)
    give_up_s = time.monotonic() + _GONE_S
    while time.monotonic() < give_up_s and any(Path(f"/proc/{pid}").exists() for pid in alive):
        time.sleep(0.02)
