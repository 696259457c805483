"""Keeps the terminal for the command: what matters of loading is in the result."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator

import transformers


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Within the block, the libraries show no progress, no warnings and no log."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    logging.getLogger("huggingface_hub").setLevel(logging.CRITICAL)
    # Compiling on a machine without CUDA warns of just that.
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    with (
        warnings.catch_warnings(),
        # The GGUF reader's own progress bars obey no setting.
        contextlib.redirect_stderr(io.StringIO()),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        yield
