"""For embedders: measure a plain Python callable, without a plugin of one's own."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from llem_core.api import run_experiment
from llem_core.contracts import (
    BackendSection,
    BackendSpec,
    Batch,
    BatchOutput,
    CheckReport,
    DeviceInfo,
    InferenceBackend,
    ModelInfo,
    Prompt,
    Purpose,
    RequestOutput,
    Workload,
    hookimpl,
)
from llem_core.contracts.hookspecs import CONTRACT_VERSION
from llem_core.environment.cpu import read_cpu
from llem_core.errors import BackendError
from llem_core.events import Listener
from llem_core.plugins import Plugins, use_plugins
from llem_core.results.experiment import ExperimentResult

Answer = str | Sequence[int] | Iterator[str] | Iterator[int]
"""What a callable returns: the whole text, the token ids, or a stream of either, token by token."""

NAME = "callable"


def measure_callable(
    function: Callable[[str], Answer],
    prompts: Sequence[str],
    *,
    model: str,
    count_tokens: Callable[[str], int],
    plugins: Iterable[object] = (),
    output_dir: str | os.PathLike[str] | None = None,
    listener: Listener | None = None,
    **fields: Any,
) -> ExperimentResult:
    """Measure a callable that answers prompts, in this process, as any backend is measured.

    The installed samplers measure energy; where none can, the energy fields are null with the
    reason, and the speed is measured all the same. A stream that is iterated token by token gives
    latencies of tokens; a text or a list of ids gives those of whole requests.

    Example::

        from llem_core.embed import measure_callable

        result = measure_callable(
            lambda prompt: prompt.upper(), ["one prompt", "another"], model="upper",
            count_tokens=lambda text: len(text.split()), baseline={"enabled": False},
        )
        print(result.output_tokens_per_second, result.energy_total_j, result.unavailable)

    Args:
        function: answers one prompt. It is called for the warm-up too.
        prompts: the prompts; each is one request.
        model: name of what is measured, for the result.
        count_tokens: tokens of a prompt, and of an answer that is one text; called outside the
            measured window.
        plugins: plugin objects beside the installed ones, such as a sampler of one's own.
        output_dir: see ``run_experiment``.
        listener: see ``run_experiment``.
        **fields: other fields of ``ExperimentConfig``, such as ``max_output_tokens``.

    Returns:
        The result, as of any experiment.

    Raises:
        pydantic.ValidationError: fields that cannot be.
        BackendError: the callable failed, or its answer was longer than ``max_output_tokens``.
        LLEMError: the experiment has no result for another reason.
    """
    known = Plugins()
    known.load_installed()
    known.register(_CallablePlugin(function, count_tokens))
    for plugin in plugins:
        known.register(plugin)
    given: dict[str, Any] = {
        "model": model,
        "backend": NAME,
        "n": len(prompts),
        "dataset": list(prompts),
    }
    with use_plugins(known):
        return run_experiment(**given, **fields, output_dir=output_dir, listener=listener)


class CallableConfig(BackendSection):
    """There is nothing to set: the callable has its own arguments."""


class _CallablePlugin:
    LLEM_CONTRACT = CONTRACT_VERSION

    def __init__(
        self, function: Callable[[str], Answer], count_tokens: Callable[[str], int]
    ) -> None:
        self._function = function
        self._count_tokens = count_tokens

    @hookimpl
    def llem_backends(self) -> list[BackendSpec]:
        def create(workload: Workload) -> InferenceBackend:
            return _CallableBackend(workload, self._function, self._count_tokens)

        return [
            BackendSpec(NAME, "A Python callable.", CallableConfig, create, lambda _: CheckReport())
        ]


@dataclass(frozen=True, slots=True)
class _Raw:
    """An answer, and when a stream's items came (monotonic s)."""

    answer: str | Sequence[Any]
    started_s: float
    ended_s: float
    times_s: tuple[float, ...] | None


class _CallableBackend(InferenceBackend):
    """Calls the function once a prompt."""

    def __init__(
        self,
        workload: Workload,
        function: Callable[[str], Answer],
        count_tokens: Callable[[str], int],
    ) -> None:
        super().__init__(workload)
        self._function = function
        self._count_tokens = count_tokens

    def load(self) -> ModelInfo:
        return ModelInfo(
            parameters=None,
            parameters_non_embedding=None,
            devices=(DeviceInfo("cpu", read_cpu().model or "CPU"),),
        )

    def prepare(self, prompts: Sequence[Prompt], purpose: Purpose) -> Sequence[Batch]:
        del purpose
        batches = []
        for prompt in prompts:
            if prompt.text is None or prompt.exact_output:
                raise BackendError(
                    "a callable cannot be held to a number of tokens: give it prompts of text, and "
                    "leave energy.phase_energy off"
                )
            tokens = self._count_tokens(prompt.text)
            if tokens > self.workload.max_input_tokens:
                raise BackendError(
                    f"prompt {prompt.index} has {tokens} tokens, and max_input_tokens is "
                    f"{self.workload.max_input_tokens}; raise it, a callable gets its prompts whole"
                )
            batches.append(Batch((prompt.index,), (tokens,), prompt, tokens))
        return batches

    def generate(self, batch: Batch) -> _Raw:
        prompt: Prompt = batch.payload
        started_s = time.monotonic()
        answer = self._function(prompt.text or "")
        if isinstance(answer, str | Sequence):
            return _Raw(answer, started_s, time.monotonic(), None)
        items, times_s = [], []
        for item in answer:
            items.append(item)
            times_s.append(time.monotonic())
            if len(items) == prompt.max_new_tokens:
                break
        ended_s = times_s[-1] if times_s else time.monotonic()
        return _Raw(items, started_s, ended_s, tuple(times_s))

    def collect(self, batch: Batch, raw: object) -> BatchOutput:
        assert isinstance(raw, _Raw)
        prompt: Prompt = batch.payload
        output = self._output(batch, raw)
        if output.output_tokens > prompt.max_new_tokens:
            raise BackendError(
                f"the answer to prompt {prompt.index} has {output.output_tokens} tokens, and "
                f"max_output_tokens is {prompt.max_new_tokens}; raise it, or limit the callable"
            )
        reason = None if raw.times_s is not None else "the callable returns its answers whole"
        return BatchOutput((output,), times_missing_reason=reason)

    def unload(self) -> None:
        pass

    def _output(self, batch: Batch, raw: _Raw) -> RequestOutput:
        answer, ids, text = raw.answer, (), None
        if isinstance(answer, str):
            text, count = answer, self._count_tokens(answer)
        else:
            items: list[Any] = list(answer)
            count = len(items)
            if all(isinstance(item, int) for item in items):
                ids = tuple(items)
            else:
                text = "".join(str(item) for item in items)
        return RequestOutput(
            index=batch.indices[0],
            input_tokens=batch.input_tokens[0],
            output_tokens=count,
            started_s=raw.started_s,
            ended_s=raw.ended_s,
            token_times_s=raw.times_s,
            token_ids=ids,
            text=text,
        )
