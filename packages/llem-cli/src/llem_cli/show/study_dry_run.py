"""What a study would do, found out without loading or writing anything."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from llem_core.errors import PreFlightError
from llem_core.measure.energy.select import first_choice
from llem_core.measure.preflight import ask_backend
from llem_core.results.views.block import Block, counted
from llem_core.results.views.study import gaps, runs_of, skipped_block
from llem_core.study.preflight import StudyProblem, StudyReport
from llem_core.text import without_secrets
from llem_core.units import format_bytes, format_duration

from llem_cli.show.table import render
from llem_cli.target import Target

_MOST_LISTED = 100


def as_text(target: Target, report: StudyReport, everything: bool) -> str:
    """The plan as plain text.

    Args:
        target: the study.
        report: what its check found.
        everything: whether to list the configurations of a large study, too.
    """
    return render(
        [
            Block("Dry run", "nothing was loaded, measured or written"),
            _study(target, report),
            _run(target, report),
            _configurations(target, everything),
            skipped_block(target.study.skipped),
            Block("Merged", items=list(target.study.merged)),
            Block("Notes", items=[str(note) for note in report.notes]),
            Block("Problems", items=[str(problem) for problem in report.problems]),
        ]
    )


def as_json(target: Target, report: StudyReport) -> str:
    """The plan as JSON."""
    study, estimate = target.study, report.estimate
    sampler, why, why_not = _sampler(target, report)
    return json.dumps(
        {
            "study_name": study.name,
            "study_design_hash": study.study_design_hash,
            "n_generated": study.n_generated,
            "n_configurations": len(study.experiments),
            "n_runs": report.n_runs,
            "n_left": target.n_left,
            "above_cap": target.n_left > study.execution.max_experiments,
            "execution": study.execution.model_dump(mode="json"),
            "execution_defaults_of_llem_run": target.defaults,
            "estimate": {**asdict(estimate), "at_least_s": estimate.at_least_s},
            "memory_estimate_bytes": report.memory_needed_bytes,
            "memory_available_bytes": report.memory_available_bytes,
            "disk_estimate_bytes": report.disk_needed_bytes,
            "sampler": sampler,
            "sampler_reason": why,
            "samplers_not_usable": why_not,
            "output": str(target.output),
            "directory": None if target.directory is None else str(target.directory),
            "experiments": [
                {
                    "config_hash": config.measurement_config_hash,
                    "label": study.label(config.measurement_config_hash),
                    "config": without_secrets(config.model_dump(mode="json")),
                }
                for config in study.experiments
            ],
            "skipped": [skipped.model_dump(mode="json") for skipped in study.skipped],
            "merged": study.merged,
            "notes": [_problem(note) for note in report.notes],
            "problems": [_problem(problem) for problem in report.problems],
        },
        indent=2,
        ensure_ascii=False,
    )


def _problem(problem: StudyProblem) -> dict[str, Any]:
    return {"text": problem.text, "labels": problem.labels}


def _study(target: Target, report: StudyReport) -> Block:
    study = target.study
    block = Block("Study", f"{study.name}, design {study.study_design_hash}")
    left_out = []
    if study.skipped:
        left_out.append(f"{len(study.skipped)} skipped")
    n_merged = study.n_generated - len(study.skipped) - len(study.experiments)
    if n_merged > 0:
        left_out.append(f"{n_merged} merged with the same")
    told = counted(study.n_generated or len(study.experiments), "combination")
    block.add("combinations", f"{told}{', '.join(['', *left_out])}")
    block.add("runs", runs_of(len(study.experiments), study.execution.n_cycles))
    block.add("order", f"{study.execution.cycle_order}{_defaults(target)}")
    done = report.n_runs - target.n_left
    if target.directory is not None:
        block.add("completed before", f"{done} of {counted(report.n_runs, 'run')}")
    cap = study.execution.max_experiments
    if target.n_left > cap:
        block.add("to confirm", f"it is above the cap of {counted(cap, 'run')}; --yes confirms it")
    return block


def _defaults(target: Target) -> str:
    names = {"n_cycles": "cycles", "cycle_order": "order"}
    told = " and ".join(names[name] for name in target.defaults)
    return f" (llem run's own default of {told})" if told else ""


def _run(target: Target, report: StudyReport) -> Block:
    execution, estimate = target.study.execution, report.estimate
    block = Block("Run")
    block.add("energy", _energy(target, report))
    block.add("pauses", gaps(execution.config_gap_seconds, execution.cycle_gap_seconds))
    block.add("timeout", f"{format_duration(execution.experiment_timeout_seconds)} an experiment")
    block.add("wall time", f"at least {format_duration(estimate.at_least_s)}: {estimate.counted}")
    block.add("  not counted", estimate.not_counted)
    at_most = format_duration(estimate.at_most_s)
    block.add("  at the most", f"{at_most}, with every run at its timeout")
    block.add("memory", _memory(report))
    files = "the files of what is left" if target.completed else "all files"
    block.add("disk", f"about {format_bytes(report.disk_needed_bytes)} for {files}")
    block.add("results", str(target.directory or target.output))
    return block


def _sampler(target: Target, report: StudyReport) -> tuple[str | None, str, Sequence[str]]:
    """The sampler that the first experiment would use; the others have the same machine."""
    config = target.study.experiments[0]
    reply = report.elsewhere.get(config.measurement_config_hash)
    if reply is not None:
        return reply.sampler, reply.sampler_why, reply.samplers_not_usable
    try:
        kind = ask_backend(config).device_kind
    except PreFlightError:
        return None, "", ["its backend cannot be used"]
    return first_choice(config, kind)


def _energy(target: Target, report: StudyReport) -> str:
    if all(config.energy.sampler is None for config in target.study.experiments):
        return "not measured, on purpose (energy.sampler is null)"
    name, why, why_not = _sampler(target, report)
    if name is None:
        return f"not measured: {'; '.join(why_not) or why or 'no sampler can be used'}"
    return f"{name}: {why}"


def _memory(report: StudyReport) -> str:
    needed, free = report.memory_needed_bytes, report.memory_available_bytes
    told = "need unknown beforehand" if needed is None else f"up to {format_bytes(needed)} needed"
    return f"{told}, {'free memory unknown' if free is None else f'{format_bytes(free)} free'}"


def _configurations(target: Target, everything: bool) -> Block:
    study = target.study
    labels = [study.label(config.measurement_config_hash) for config in study.experiments]
    shown = labels if everything else labels[:_MOST_LISTED]
    if len(shown) < len(labels):
        shown = [*shown, f"and {len(labels) - len(shown):,} more; --verbose lists all"]
    return Block("Configurations", items=shown)
