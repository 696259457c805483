"""Turns what torch, transformers and the hub raise into sentences that say what to do."""

from __future__ import annotations

import contextlib
import pickle
import re
from collections.abc import Callable, Iterator

from llem_core.errors import BackendError, LLEMError, OutOfMemoryError
from llem_core.models.architecture import RUNS, untrusted_code
from llem_core.units import format_bytes

_MEMORY_WORDS = ("out of memory", "can't allocate memory", "cannot allocate memory")
_OFFLINE_KINDS = (
    "OfflineModeIsEnabled",
    "LocalEntryNotFoundError",
    "ConnectError",
    "ConnectTimeout",
)
_NO_ACCESS_KINDS = ("GatedRepoError", "RepositoryNotFoundError")
# PEFT's message on an adapter whose embeddings have another height than the model's.
_VOCABULARIES = re.compile(
    r"size mismatch for \S*(?:embed|wte|lm_head)\S*:.*?\[(\d+), \d+\].*?\[(\d+), \d+\]", re.DOTALL
)
_OFFLINE_WORDS = ("couldn't connect", "offline mode", "outgoing traffic", "cannot reach")


@contextlib.contextmanager
def engine_errors(doing: str, peak_bytes: Callable[[], int | None]) -> Iterator[None]:
    """Within the block, an engine's exception becomes one of the project's.

    Args:
        doing: what was being done, for the message.
        peak_bytes: reads the peak memory so far, for the message of an out-of-memory error.
    """
    try:
        yield
    except LLEMError:
        raise
    # torch and transformers raise many kinds, RuntimeError and their own among them.
    except Exception as error:
        if isinstance(error, MemoryError) or _says(error, _MEMORY_WORDS):
            raise OutOfMemoryError(_out_of_memory(doing, peak_bytes())) from error
        raise BackendError(f"{doing} failed: {type(error).__name__}: {_first(error)}") from error


@contextlib.contextmanager
def hub_errors(model: str, peak_bytes: Callable[[], int | None]) -> Iterator[None]:
    """Within the block, a failure to find or fetch a model or an adapter says what to set.

    Args:
        model: what is loaded, for the message.
        peak_bytes: as of ``engine_errors``.
    """
    try:
        with engine_errors(f"loading {model}", peak_bytes):
            yield
    except BackendError as error:
        chain = list(_causes(error))
        if any(_is_offline(cause) for cause in chain):
            raise BackendError(
                f"{model} is not in the local cache and the hub cannot be reached; connect, or set "
                "HF_HOME to a cache that has it, or give a local folder or `shape:<name>`"
            ) from error
        if any(_is_refused(cause) for cause in chain):
            raise BackendError(
                f"{model} is gated, private or does not exist; check its name, and log in with "
                "`hf auth login` if you have access"
            ) from error
        if any(type(cause).__name__ == "RevisionNotFoundError" for cause in chain):
            raise BackendError(
                f"{model} has no such revision on the hub; set revision to one of its branches, "
                "tags or commits"
            ) from error
        if (told := _of_the_checkpoint(model, error, chain)) is not None:
            raise BackendError(told) from error
        raise


def _of_the_checkpoint(model: str, error: BaseException, chain: list[BaseException]) -> str | None:
    """What is the matter with a checkpoint that is there and does not load."""
    if any(_says(cause, ("trust_remote_code",)) for cause in chain):
        return untrusted_code(model, "pytorch")
    if any(_says(cause, ("unrecognized configuration class",)) for cause in chain):
        return f"{model} is not a model that generates text from text alone. {RUNS}."
    if any(isinstance(cause, pickle.UnpicklingError) for cause in chain):
        return (
            f"the weights of {model} are pickled together with objects that are not tensors; "
            "llem never unpickles those, since they can run code, and no setting changes that: "
            "have the checkpoint saved again as safetensors, by someone who trusts it"
        )
    sizes = _VOCABULARIES.search(str(error.__cause__ or error))
    if sizes is not None:
        return (
            f"{model} was made for a vocabulary of {sizes[1]} tokens, and the model has "
            f"{sizes[2]}: "
            "tokens were added when it was trained; merge it into the model that it was trained "
            "with (PEFT's merge_and_unload, then save_pretrained), and measure that"
        )
    return None


def _out_of_memory(doing: str, peak: int | None) -> str:
    reached = f" after a peak of {format_bytes(peak)}" if peak else ""
    return (
        f"{doing} ran out of memory{reached}; lower pytorch.batch_size, max_output_tokens or "
        "max_input_tokens, or use a smaller precision or model"
    )


def _is_offline(error: BaseException) -> bool:
    return type(error).__name__ in _OFFLINE_KINDS or _says(error, _OFFLINE_WORDS)


def _is_refused(error: BaseException) -> bool:
    status = getattr(getattr(error, "response", None), "status_code", None)
    return type(error).__name__ in _NO_ACCESS_KINDS or status in {401, 403}


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _says(error: BaseException, words: tuple[str, ...]) -> bool:
    text = str(error).lower()
    return any(word in text for word in words)


def _first(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else "no message"
