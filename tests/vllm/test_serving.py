"""Served loads and whole experiments, from a shape and from a checkpoint's configuration alone."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from llem_core.contracts import DecoderConfig, Prompt, RequestOutput, Workload
from llem_core.errors import BackendError
from llem_core.processes.guard import descendants
from llem_vllm.config import VllmConfig
from llem_vllm.serving import VllmServingBackend
from llenergymeasure import run_experiment

SECTION: dict[str, Any] = {
    "max_model_len": 512,
    "enforce_eager": True,
    "kv_cache_memory_bytes": 2**26,
}
QUICK: dict[str, Any] = {
    "backend": "vllm",
    "n": 8,
    "max_input_tokens": 64,
    "max_output_tokens": 16,
    "decoder": {"ignore_eos": True},
    "warmup": {"n_warmup": 1, "convergence_detection": False},
    "baseline": {"enabled": False},
    "energy": {"sampler": None},
}


def test_a_batch_of_a_checkpoints_configuration_alone(checkpoint: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "config.json").write_bytes((checkpoint / "config.json").read_bytes())
    result = run_experiment(
        **QUICK, model=str(bare), precision="bf16", vllm={**SECTION, "load_format": "dummy"}
    )
    assert result.output_tokens == 8 * 16
    assert result.model_record.random_weights
    assert result.effective_config["effective"]["dtype"] == "bf16"
    (process,) = result.processes
    assert process.facts["preemptions"] == 0
    assert result.queue_time is not None
    assert result.time_to_first_token is not None


def test_a_closed_load_on_a_shape(tmp_path: Path) -> None:
    load = {"mode": "closed", "concurrency": 4, "ramp_seconds": 1, "window_seconds": 2}
    result = run_experiment(
        **QUICK, model="shape:tiny-llama", load=load, vllm=SECTION, output_dir=tmp_path
    )
    assert result.output_tokens > 0
    assert result.load is not None
    assert result.inter_token_latency is not None


def test_a_killed_engine_is_an_error_within_seconds_and_leaves_nothing() -> None:
    workload = Workload(
        model="shape:tiny-llama",
        precision="bf16",
        max_input_tokens=64,
        max_output_tokens=400,
        random_seed=3,
        decoder=DecoderConfig(ignore_eos=True),
        section=VllmConfig(**SECTION),
        load_mode="closed",
    )
    backend = VllmServingBackend(workload)
    info = backend.load()
    family = descendants(set(info.process_ids))
    prompts = [Prompt(i, None, 400, synthetic_tokens=64) for i in range(2)]
    first, second = backend.prepare(prompts, "measured")
    backend.submit(first)
    while not backend.arrived(5.0):
        pass
    backend.cancel(first.index)
    over = []
    while not over:
        over = [a for a in backend.arrived(5.0) if isinstance(a, RequestOutput)]
    assert over[0].error_kind == "cancelled"
    backend.submit(second)
    while not backend.arrived(5.0):
        pass
    os.kill(info.process_ids[-1], signal.SIGKILL)
    error = _death(backend, within_s=60)
    assert "engine has ended" in str(error)
    backend.unload()
    assert not [pid for pid in family if Path(f"/proc/{pid}").exists()]


def _death(backend: VllmServingBackend, within_s: float) -> BackendError | None:
    """What is raised for a dead engine, if anything is."""
    give_up_s = time.monotonic() + within_s
    try:
        while time.monotonic() < give_up_s:
            backend.arrived(1.0)
    except BackendError as error:
        return error
    return None
