"""Turns what vLLM raises and prints into a sentence that says what to do."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator

from llem_core.errors import BackendError, LLEMError, OutOfMemoryError
from llem_core.models.architecture import RUNS, untrusted_code

# What the engine's own process printed before it died: the last error of a traceback.
_LAST_ERROR = re.compile(r"(?:^|\s)((?:[\w.]*\.)?[A-Z]\w*(?:Error|Exception)): (.+)$", re.MULTILINE)
_SECONDARY = (
    *("EngineDeadError", "Engine core initialization failed", "EngineCore encountered"),
    *("WorkerProc initialization failed", "Executor failed"),
)
_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory", "MemoryError")
_CACHE = ("kv cache", "cache blocks", "cache memory")
_ADVICE: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("are not supported for now", "is not supported by vllm", "no vllm implementation"),
        "vLLM has no implementation of this model; try vllm.model_impl: transformers, or another "
        "backend.",
    ),
    (
        ("memory utilization", "gpu-memory-utilization", "gpu_memory_utilization"),
        "Lower vllm.gpu_memory_utilization, or give vllm.kv_cache_memory_bytes.",
    ),
    (("trust_remote_code",), untrusted_code("The model", "vllm")),
    (
        ("max_model_len", "max model len", "maximum model length"),
        "Set vllm.max_model_len to what the model and the lengths asked for allow.",
    ),
    (
        ("dtype", "float16", "bfloat16"),
        "Set precision to one that the model and the device have: bf16, fp16 or fp32.",
    ),
    (
        ("offline", "couldn't connect", "cannot reach", "outgoing traffic"),
        "It is not in the local cache and the hub cannot be reached: connect, set HF_HOME to a "
        "cache that has it, or give a local folder or `shape:<name>`.",
    ),
    (
        ("gated repo", "repository not found", "401 client error", "403 client error"),
        "It is gated, private or does not exist; check its name, and log in with `hf auth login`.",
    ),
    (("not a generative model", "pooling"), f"{RUNS}."),
)
"""Words of a cause in lower case, and what to do about it."""


@contextlib.contextmanager
def engine_errors(doing: str, printed: Callable[[], str]) -> Iterator[None]:
    """Within the block, what vLLM raises becomes one of the project's errors.

    Args:
        doing: what was being done, for the message.
        printed: gives the end of what the engine's processes printed.
    """
    try:
        yield
    except LLEMError:
        raise
    # vLLM raises many kinds, RuntimeError, pydantic's and its own among them.
    except Exception as error:
        raise translated(doing, error, printed()) from error


def translated(doing: str, error: BaseException, printed: str) -> BackendError:
    """The project's own error for one of vLLM's.

    Args:
        doing: what was being done.
        error: what vLLM raised.
        printed: the end of what its processes printed, where the cause is if one of them died.
    """
    cause = root_cause(error, printed)
    low = cause.lower()
    if any(word in low for word in _CACHE) and not any(word in low for word in _MEMORY):
        return BackendError(
            f"{doing} failed for want of room for the key-value cache: {cause} Raise "
            "vllm.kv_cache_memory_bytes (on a GPU also vllm.gpu_memory_utilization), or lower "
            "vllm.max_model_len"
        )
    if any(word.lower() in low for word in _MEMORY):
        return OutOfMemoryError(
            f"{doing} ran out of memory: {cause} Lower vllm.gpu_memory_utilization, "
            "vllm.max_num_seqs or vllm.max_num_batched_tokens, or use a smaller model"
        )
    return BackendError(f"{doing} failed: {cause}{_advice(low)}")


def _advice(low: str) -> str:
    """What to do about a cause, as a sentence after it; empty where nothing is known."""
    for words, advice in _ADVICE:
        if any(word in low for word in words):
            return f" {advice}"
    return ""


def root_cause(error: BaseException, printed: str) -> str:
    """The first line of what really went wrong, as a sentence."""
    message = str(error).strip()
    if any(word in message or word in type(error).__name__ for word in _SECONDARY):
        found = [
            (kind, text)
            for kind, text in _LAST_ERROR.findall(printed)
            if not any(word in kind or word in text for word in _SECONDARY)
        ]
        if found:
            kind, text = found[-1]
            return _sentence(text if kind == "ValueError" else f"{kind}: {text}")
        tail = printed.splitlines()[-1:] or ["it printed nothing"]
        return _sentence(f"vLLM's engine has ended; the last that it printed: {tail[0]}")
    # pydantic's error has its own head and foot around vLLM's sentence.
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    value = next((line for line in lines if line.startswith("Value error, ")), None)
    if value is not None:
        return _sentence(re.sub(r" \[type=.*", "", value.removeprefix("Value error, ")))
    first = lines[0] if lines else "no message"
    return _sentence(first if type(error) is ValueError else f"{type(error).__name__}: {first}")


def _sentence(text: str) -> str:
    text = re.sub(r"\x1b\[[0-9;]*m", "", text).strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."
