"""Turns the engine's exceptions into the contract's."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from llem_core.errors import BackendError, OutOfMemoryError

_NO_MEMORY = ("bad_alloc", "Failed to allocate memory", "out of memory")


@contextlib.contextmanager
def engine_errors(doing: str) -> Iterator[None]:
    """Within the block, whatever the engine raises is a ``BackendError``.

    Args:
        doing: what is being done to what, for the message.
    """
    try:
        yield
    except BackendError:
        raise
    except MemoryError as error:
        raise _out_of_memory(doing) from error
    # ONNX Runtime's own exceptions have no common base, and protobuf has yet others.
    except Exception as error:
        if any(sign in str(error) for sign in _NO_MEMORY):
            raise _out_of_memory(doing) from error
        raise BackendError(f"{doing} failed: {type(error).__name__}: {error}") from error


def _out_of_memory(doing: str) -> OutOfMemoryError:
    return OutOfMemoryError(
        f"memory ran out while {doing}; lower onnxruntime.batch_size, max_input_tokens or "
        "max_output_tokens, or take a smaller model"
    )
