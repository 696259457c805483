"""A small shape with a static cache and compiled, with a last batch that is not full.

The last step, since the first to be cut: what it costs to compile is not known beforehand.
"""

from __future__ import annotations

import json
import time

from llenergymeasure import run_experiment

from gpu_session.runs import facts
from gpu_session.session import Session

BATCH, REQUESTS = 8, 20
"""Two full batches and half a one."""


def run(session: Session) -> None:
    """Run each mode; one that fails is noted and does not cost the next."""
    for mode in session.scale.compile_modes:
        started_s = time.monotonic()
        name = f"torch_compile: {json.dumps(mode)}"
        try:
            found = _compiled(session, mode)
        # That an engine cannot compile is a result.
        except Exception as error:  # noqa: BLE001
            found = {"error": f"{type(error).__name__}: {error}"[:2000]}
        session.note(name, found | {"took_s": time.monotonic() - started_s})


def _compiled(session: Session, mode: str | bool | None) -> dict[str, object]:
    scale = session.scale
    result = run_experiment(
        model=scale.small_model,
        precision=scale.precision,
        n=REQUESTS,
        dataset="synthetic",
        max_input_tokens=scale.input_tokens,
        max_output_tokens=scale.output_tokens,
        warmup={"n_warmup": 2, "convergence_detection": False},
        baseline={"enabled": False},
        energy={"sampler": None},
        pytorch={
            "batch_size": BATCH,
            "cache_implementation": "static",
            "torch_compile": mode,
            "device": session.machine.device,
        },
        output_dir=session.raw / "experiments" / "compile",
    )
    return facts(result)
