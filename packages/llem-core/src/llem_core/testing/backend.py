"""A backend with scripted speed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Literal

from pydantic import Field

from llem_core.contracts import (
    AttentionShape,
    BackendSection,
    BackendSpec,
    Batch,
    BatchOutput,
    CheckReport,
    ComputeShape,
    DeviceInfo,
    InferenceBackend,
    MemoryReading,
    ModelInfo,
    Prompt,
    Purpose,
    RequestOutput,
    Workload,
)
from llem_core.errors import BackendError, OutOfMemoryError

Stage = Literal["check", "load", "prepare", "generate", "unload"]


class ScriptedConfig(BackendSection):
    """How a ``ScriptedBackend`` behaves."""

    batch_size: int = Field(1, strict=True, ge=1, description="Prompts a batch.")
    token_time_s: float = Field(0.0, ge=0, description="Time that each output token takes (s).")
    first_token_time_s: float | None = Field(
        None, ge=0, description="Time until the first token (s); token_time_s if not given."
    )
    token_times_s: tuple[tuple[float, ...], ...] = Field(
        (),
        description="When the tokens of a request come (s from the start of its batch), a row for "
        "each prompt by its index, again from the first row past the last; in place of the other "
        "times and of output_tokens. More tokens than a prompt may have are left out.",
    )
    queued_s: float | None = Field(None, ge=0, description="Wait before each request's start (s).")
    failing: tuple[int, ...] = Field((), description="Indices of prompts whose requests fail.")
    output_tokens: int | None = Field(
        None, description="Tokens of each output; the prompt's limit if not given."
    )
    fail_at: Stage | None = Field(None, description="Step that fails.")
    failure: Literal["backend", "foreign", "memory"] = Field(
        "backend", description="What it fails with."
    )
    gpu_uuids: tuple[str, ...] = Field((), description="GPUs that it says it computes on.")
    num_processes: int = Field(1, ge=1, description="Data-parallel processes.")

    def process_count(self) -> int:
        """``num_processes``."""
        return self.num_processes


class ScriptedBackend(InferenceBackend):
    """Counts words and waits; its outputs, times and failures are known beforehand.

    Attributes:
        calls: names of the methods that were called, in order.
        prepared: purpose and prompts of each call of ``prepare``, in order.

    Example::

        made = []

        def create(workload):
            made.append(ScriptedBackend(workload))
            return made[-1]

        plugins = Plugins()
        plugins.register(FakePlugin(backends=[scripted_backend(create=create)]))
        with use_plugins(plugins):
            result = run_experiment(
                model="any", backend="scripted", n=1, max_output_tokens=5,
                warmup={"enabled": False},
                scripted={"first_token_time_s": 0.02, "token_time_s": 0.001},
            )
        assert made[0].calls[:2] == ["load", "prepare"]
        assert round(result.time_to_first_token.mean_s, 6) == 0.02

    With ``token_times_s`` each request has a script of its own::

        with use_plugins(plugins):
            result = run_experiment(
                model="any", backend="scripted", n=2, max_output_tokens=3,
                warmup={"enabled": False}, baseline={"enabled": False},
                scripted={"batch_size": 2, "token_times_s": [[0.01, 0.02, 0.04], [0.005]]},
            )
        assert round(result.end_to_end_latency.min_s, 6) == 0.005
        assert round(result.end_to_end_latency.max_s, 6) == 0.04
    """

    def __init__(self, workload: Workload) -> None:
        super().__init__(workload)
        assert isinstance(workload.section, ScriptedConfig)
        self.section = workload.section
        self.calls: list[str] = []
        self.prepared: list[tuple[Purpose, tuple[Prompt, ...]]] = []

    def load(self) -> ModelInfo:
        """Pretend to load a model of a million parameters."""
        self._step("load")
        devices = tuple(DeviceInfo("gpu", "Scripted GPU", u) for u in self.section.gpu_uuids)
        return ModelInfo(
            parameters=1_000_000,
            parameters_non_embedding=800_000,
            n_layers=2,
            compute=ComputeShape(800_000, 100_000, (AttentionShape(2, 64, 64),)),
            dtype="fp32",
            weights_bytes=4_000_000,
            devices=devices or (DeviceInfo("cpu", "Scripted CPU"),),
        )

    def prepare(self, prompts: Sequence[Prompt], purpose: Purpose) -> Sequence[Batch]:
        """Batches in the order of the prompts; a word is a token."""
        self._step("prepare")
        self.prepared.append((purpose, tuple(prompts)))
        size = self.section.batch_size
        groups = [prompts[start : start + size] for start in range(0, len(prompts), size)]
        return [self._batch(group) for group in groups]

    def generate(self, batch: Batch) -> tuple[float, list[tuple[float, ...]]]:
        """Wait until the last token of the batch."""
        self._step("generate")
        rows = zip(batch.indices, batch.payload, strict=True)
        times_s = [self._times_s(index, limit) for index, limit in rows]
        started_s = time.monotonic()
        time.sleep(max((row[-1] for row in times_s if row), default=0.0))
        return started_s, times_s

    def collect(self, batch: Batch, raw: object) -> BatchOutput:
        """Outputs with the times of the script; each ends with its own last token."""
        assert isinstance(raw, tuple)
        started_s, times_s = raw
        rows = zip(batch.indices, batch.input_tokens, times_s, strict=True)
        return BatchOutput(tuple(self._output(started_s, *row) for row in rows))

    def _output(
        self, started_s: float, index: int, input_tokens: int, offsets_s: tuple[float, ...]
    ) -> RequestOutput:
        times_s = tuple(started_s + offset_s for offset_s in offsets_s)
        fails = index in self.section.failing
        return RequestOutput(
            index=index,
            input_tokens=input_tokens,
            output_tokens=0 if fails else len(times_s),
            started_s=started_s,
            ended_s=times_s[-1] if times_s else started_s,
            queued_s=self.section.queued_s,
            token_times_s=() if fails else times_s,
            token_ids=() if fails else tuple(range(len(times_s))),
            text=None if fails else f"output {index}",
            error="scripted failure of the request" if fails else None,
        )

    def synchronise(self) -> None:
        """Note the call."""
        self.calls.append("synchronise")

    def reset_peak_memory(self) -> None:
        """Note the call."""
        self.calls.append("reset_peak_memory")

    def memory(self) -> MemoryReading:
        """A fixed peak."""
        return MemoryReading(10_000_000, source="scripted")

    def unload(self) -> None:
        """Note the call, and fail if that is the script."""
        self._step("unload")

    def _batch(self, prompts: Sequence[Prompt]) -> Batch:
        most = self.workload.max_input_tokens
        full = [p.synthetic_tokens or len((p.text or "").split()) for p in prompts]
        lengths = tuple(min(length, most) for length in full)
        return Batch(
            indices=tuple(p.index for p in prompts),
            input_tokens=lengths,
            payload=[p.max_new_tokens for p in prompts],
            padded_tokens=max(lengths) * len(lengths),
            truncated=sum(length > most for length in full),
        )

    def _times_s(self, index: int, limit: int) -> tuple[float, ...]:
        section = self.section
        if section.token_times_s:
            return section.token_times_s[index % len(section.token_times_s)][:limit]
        step_s, first_s = section.token_time_s, section.first_token_time_s
        n_tokens = min(section.output_tokens or limit, limit)
        return tuple((step_s if first_s is None else first_s) + step_s * i for i in range(n_tokens))

    def _step(self, stage: Stage) -> None:
        self.calls.append(stage)
        if self.section.fail_at == stage:
            raise _failure(self.section, stage)


def scripted_backend(
    name: str = "scripted",
    create: Callable[[Workload], InferenceBackend] = ScriptedBackend,
    report: CheckReport | None = None,
) -> BackendSpec:
    """The spec of a ``ScriptedBackend``.

    Args:
        name: its name.
        create: makes it; pass a function that keeps the backend to look at it afterwards.
        report: what it says of every workload; where it runs follows ``gpu_uuids`` if not given.

    Example::

        assert scripted_backend("mine").name == "mine"
    """

    def check(workload: Workload) -> CheckReport:
        assert isinstance(workload.section, ScriptedConfig)
        if workload.section.fail_at == "check":
            return CheckReport(problems=("the script says that this cannot run",))
        return report or CheckReport(device_kind="gpu" if workload.section.gpu_uuids else "cpu")

    return BackendSpec(name, "Waits as its script says.", ScriptedConfig, create, check)


def _failure(section: ScriptedConfig, stage: str) -> Exception:
    message = f"scripted failure at {stage}"
    if section.failure == "memory":
        return OutOfMemoryError(message)
    return BackendError(message) if section.failure == "backend" else RuntimeError(message)
