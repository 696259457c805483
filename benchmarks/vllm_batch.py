"""Output tokens a second inside the window, against a bare ``LLM.generate`` over the same prompts.

Both run in this process on one engine, in turn: ours as the harness drives it, with the engine's
statistics taken; the reference with vLLM's statistics off, as ``LLM`` has them by default.
Needs an environment with vLLM: run with
``$(bash scripts/vllm_env.sh) benchmarks/vllm_batch.py [--pairs N] [--model MODEL]``.
"""

from __future__ import annotations

import argparse
import os
import time
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

from llem_core.contracts import DecoderConfig, Prompt, Workload
from llem_core.measure.drive.window import run_batches
from llem_vllm import hooks
from llem_vllm.config import VllmConfig
from pairs import heading, report

PROMPT_TOKENS, OUTPUT_TOKENS = 64, 64


def main() -> None:
    options = _options()
    section = VllmConfig(
        max_model_len=512, enforce_eager=True, kv_cache_memory_bytes=256 * 1024**2,
        enable_prefix_caching=False,
    )  # fmt: skip
    workload = Workload(
        model=options.model,
        precision="bf16",
        max_input_tokens=PROMPT_TOKENS,
        max_output_tokens=OUTPUT_TOKENS,
        random_seed=1,
        decoder=DecoderConfig(ignore_eos=True),
        section=section,
    )
    backend: Any = hooks.llem_backends()[0].create(workload)
    backend.load()
    try:
        heading("output tokens/s")
        for requests in options.requests:
            compare(backend, requests, options.pairs)
    finally:
        backend.unload()


def compare(backend: Any, requests: int, pairs: int) -> None:
    prompts = [
        Prompt(i, None, OUTPUT_TOKENS, synthetic_tokens=PROMPT_TOKENS) for i in range(requests)
    ]
    batches = backend.prepare(prompts, "measured")
    payload, engine = batches[0].payload, backend._llm.llm_engine
    tokens = requests * OUTPUT_TOKENS

    def ours() -> float:
        run = run_batches(backend, batches)
        return tokens / (run.ended_s - run.started_s)

    def bare() -> float:
        manager, engine.logger_manager = engine.logger_manager, None
        engine.log_stats = engine.output_processor.log_stats = False
        started_s = time.monotonic()
        backend._llm.generate(payload.prompts, payload.params, use_tqdm=False)
        elapsed_s = time.monotonic() - started_s
        engine.logger_manager = manager
        engine.log_stats = engine.output_processor.log_stats = True
        return tokens / elapsed_s

    for warm in (ours, bare, ours, bare):
        warm()
    timed = []
    for number in range(pairs):
        # Which of the two goes first changes from pair to pair.
        if number % 2:
            reference = bare()
            timed.append((ours(), reference))
        else:
            timed.append((ours(), bare()))
    name = f"vLLM, {requests} requests"
    report(name, [a for a, _ in timed], [b for _, b in timed], ">= 0.98")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--model", default="shape:tiny-llama")
    parser.add_argument("--requests", type=int, nargs="+", default=[8, 64])
    return parser.parse_args()


if __name__ == "__main__":
    main()
