"""What a run would do, as plain text or as JSON."""

from __future__ import annotations

import json

from llem_core.config.dataset import SYNTHETIC
from llem_core.config.layers import leaves
from llem_core.contracts.backend import CheckReport
from llem_core.measure.prompts.load import synthetic_lengths
from llem_core.results.views.block import Block
from llem_core.text import without_secrets
from llem_core.units import format_bytes, format_duration

from llem_cli.plan import Plan
from llem_cli.show.table import render

_SHOWN = frozenset(
    {"model", "backend", "precision", "n", "dataset", "max_input_tokens", "max_output_tokens"}
)


def as_json(planned: Plan) -> str:
    """The plan as JSON."""
    config, report = planned.resolved.config, planned.report
    return json.dumps(
        {
            "measurement_config_hash": config.measurement_config_hash,
            "config": without_secrets(config.model_dump(mode="json")),
            "n_prompts": planned.n_prompts,
            "device_kind": report.device_kind,
            "memory_estimate_bytes": report.memory_estimate_bytes,
            "memory_available_bytes": report.memory_available_bytes,
            "sampler": planned.sampler,
            "sampler_reason": planned.why,
            "samplers_not_usable": planned.why_not,
            "waits_s": planned.waits_s,
            "output": str(planned.resolved.output),
            "notes": report.notes,
            "problems": planned.problems,
        },
        indent=2,
        ensure_ascii=False,
    )


def as_text(planned: Plan) -> str:
    """The plan as plain text."""
    return render(
        [
            Block("Dry run", "nothing was loaded, measured or written"),
            _experiment(planned),
            _run(planned),
            Block("Notes", items=list(planned.report.notes)),
            Block("Problems", items=list(planned.problems)),
        ]
    )


def _experiment(planned: Plan) -> Block:
    config = planned.resolved.config
    block = Block("Experiment", f"configuration {config.measurement_config_hash}")
    block.add("model", config.model)
    block.add("backend", config.backend)
    block.add("precision", config.precision)
    block.add("prompts", f"{planned.n_prompts} of {config.dataset.source}")
    if config.dataset.source == SYNTHETIC:
        n_in, n_out = synthetic_lengths(config)
        block.add("tokens", f"{n_in} in, {n_out} out")
    else:
        n_in, n_out = config.max_input_tokens, config.max_output_tokens
        block.add("tokens at the most", f"{n_in} in, {n_out} out")
    dumped = without_secrets(config.model_dump(mode="json", exclude_defaults=True))
    others = {name: value for name, value in dumped.items() if name not in _SHOWN}
    for path, value in leaves(others):
        if value != {}:
            block.add(".".join(path), json.dumps(value, ensure_ascii=False))
    return block


def _run(planned: Plan) -> Block:
    report = planned.report
    block = Block("Run")
    block.add("device", report.device_kind)
    block.add("memory", _memory(report))
    block.add("energy", _energy(planned))
    block.add("samplers not usable", "; ".join(planned.why_not) or None)
    block.add("waits", f"{format_duration(planned.waits_s)}, loading and measuring not counted")
    block.add("results", str(planned.resolved.output))
    return block


def _memory(report: CheckReport) -> str:
    needed, free = report.memory_estimate_bytes, report.memory_available_bytes
    told = "need unknown beforehand" if needed is None else f"about {format_bytes(needed)} needed"
    return f"{told}, {'free memory unknown' if free is None else f'{format_bytes(free)} free'}"


def _energy(planned: Plan) -> str:
    if planned.resolved.config.energy.sampler is None:
        return "not measured, on purpose (energy.sampler is null)"
    if planned.sampler is None:
        return "not measured: no sampler can be used"
    return f"{planned.sampler}: {planned.why}"
