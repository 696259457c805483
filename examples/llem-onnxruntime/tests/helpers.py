"""Drives the backend as the harness does."""

from llem_core.contracts import DecoderConfig, Prompt, Workload

from llem_onnxruntime.backend import OnnxRuntimeBackend
from llem_onnxruntime.config import OnnxRuntimeConfig


def workload(model, decoder=None, section=None, **fields):
    defaults = {
        "precision": "auto",
        "max_input_tokens": 64,
        "max_output_tokens": 12,
        "random_seed": 42,
    }
    return Workload(
        model=str(model),
        decoder=DecoderConfig(**(decoder or {})),
        section=OnnxRuntimeConfig(**(section or {})),
        **{**defaults, **fields},
    )


def outputs(model, texts, limit=12, exact=False, **fields):
    """What each text gives, by its index."""
    backend = OnnxRuntimeBackend(workload(model, **fields))
    try:
        backend.load()
        prompts = [Prompt(i, text, limit, exact_output=exact) for i, text in enumerate(texts)]
        found = {}
        for batch in backend.prepare(prompts, "measured"):
            for request in backend.collect(batch, backend.generate(batch)).requests:
                found[request.index] = request
        return found
    finally:
        backend.unload()


def tokens(model, texts, **fields):
    return [r.token_ids for _, r in sorted(outputs(model, texts, **fields).items())]
