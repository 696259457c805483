"""Output tokens a second inside the window, against the same ``generate`` calls in a bare loop.

The bare loop runs under ``torch.inference_mode``, the fastest way that torch has. Both run in this
process on the same model and the same inputs, in turn. Run with ``uv run python
benchmarks/throughput.py [pairs]``.
"""

from __future__ import annotations

import os
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from llem_core.contracts import DecoderConfig, Prompt, Workload
from llem_core.measure.drive.window import run_batches
from llem_pytorch.backend import PyTorchBackend
from llem_pytorch.config import PyTorchConfig
from pairs import heading, report

REQUESTS, PROMPT_TOKENS, OUTPUT_TOKENS = 8, 64, 64


def loaded(batch_size: int) -> PyTorchBackend:
    backend = PyTorchBackend(
        Workload(
            model="shape:tiny-llama",
            precision="fp32",
            max_input_tokens=PROMPT_TOKENS,
            max_output_tokens=OUTPUT_TOKENS,
            random_seed=1,
            decoder=DecoderConfig(),
            section=PyTorchConfig(batch_size=batch_size, device="cpu"),
        )
    )
    backend.load()
    return backend


def compare(batch_size: int, pairs: int) -> None:
    backend = loaded(batch_size)
    prompts = [
        Prompt(i, None, OUTPUT_TOKENS, synthetic_tokens=PROMPT_TOKENS, exact_output=True)
        for i in range(REQUESTS)
    ]
    batches = backend.prepare(prompts, "measured")
    model = backend._model
    inputs = [batch.payload for batch in batches]

    def ours() -> float:
        run = run_batches(backend, batches)
        return REQUESTS * OUTPUT_TOKENS / (run.ended_s - run.started_s)

    def bare() -> float:
        started_s = time.monotonic()
        with torch.inference_mode():
            for item in inputs:
                model.generate(
                    inputs=item.ids, attention_mask=item.mask, generation_config=item.settings
                )
        return REQUESTS * OUTPUT_TOKENS / (time.monotonic() - started_s)

    for warm in (ours, bare, ours, bare):
        warm()
    # Which of the two goes first changes from pair to pair.
    timed = []
    for number in range(pairs):
        if number % 2:
            reference = bare()
            timed.append((ours(), reference))
        else:
            timed.append((ours(), bare()))
    report(f"batch size {batch_size}", [a for a, _ in timed], [b for _, b in timed], ">= 0.98")


def main() -> None:
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    heading("output tokens/s")
    for batch_size in (1, 4):
        compare(batch_size, pairs)


if __name__ == "__main__":
    main()
