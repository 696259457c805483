"""Validates energy measurement on this machine's NVIDIA GPU, in one command and a bounded time.

It runs, most telling first: the sensor's passport; counter against integrated power over a minute;
a shape of 8B parameters in bf16 at batch 1, 8, 32 and 64; ten repeats; prefill and decode against
output length. It prints a Markdown report and writes it with all raw data to a folder::

    uv run python benchmarks/gpu_validation.py [--minutes 25] [--output DIR] [--model shape:NAME]

Exit codes: 0 all that was run holds, 1 something does not, 2 there is no GPU. ``--rehearse`` tries
the command itself over a simulated GPU; its figures say nothing of any device, and it says so.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from llem_core.environment import take_snapshot
from llem_energy_nvml.availability import availability
from validation import checks
from validation.rehearsal import rehearsal_plan, simulated_machine
from validation.report import Section, Verdict, as_markdown, write_raw
from validation.running import Bench, Plan

REHEARSED = "REHEARSAL over a SIMULATED device: nothing here was measured"
PACKAGES = ("torch", "transformers", "nvidia-ml-py")


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    if options.rehearse:
        with simulated_machine():
            return validate(options.output, rehearsal_plan(60 * options.minutes), REHEARSED)
    why_not = _no_gpu()
    if why_not:
        print(
            f"No NVIDIA GPU can be validated here ({why_not}), so nothing was run; --rehearse "
            "tries the command over a simulated one.",
            file=sys.stderr,
        )
        return 2
    plan = real_plan(options.model, 60 * options.minutes)
    return validate(options.output, plan, "Validation on a real device")


def validate(folder: Path, plan: Plan, heading: str) -> int:
    """Run every check, print the report and write it; gives the exit code."""
    folder.mkdir(parents=True, exist_ok=True)
    bench = Bench(plan, folder / "experiments", _say)
    sections = [_guarded(check, bench) for check in CHECKS]
    facts = _facts(plan)
    report = as_markdown(heading, facts, sections)
    (folder / "report.md").write_text(report, encoding="utf-8")
    write_raw(folder / "validation.json", {"heading": heading, **facts}, sections)
    print(report)
    return 1 if any(section.verdict is Verdict.FAILS for section in sections) else 0


def real_plan(model: str, limit_s: float) -> Plan:
    """What is run on a real GPU."""
    return Plan(
        model=model,
        described=f"{model}, bf16, random weights",
        fields={
            "dataset": "synthetic",
            "max_input_tokens": 128,
            "warmup": {"n_warmup": 2, "convergence_detection": False},
            "baseline": {"duration_seconds": 10},
            "energy": {"sampler": "nvml"},
            "pytorch": {"device": "cuda", "precision": "bf16"},
        },
        limit_s=limit_s,
    )


CHECKS: tuple[Callable[[Bench], Section], ...] = (
    checks.counter_against_integral,
    checks.batches,
    checks.repeats,
    checks.phases,
)


def _guarded(check: Callable[[Bench], Section], bench: Bench) -> Section:
    try:
        return check(bench)
    # One check that fails, such as for memory, must not cost the others' figures.
    except Exception as error:  # noqa: BLE001 - whatever an engine or a driver raises
        name = check.__name__.replace("_", " ")
        return Section(
            name.capitalize(), "It ends.", Verdict.FAILS, remark=f"{type(error).__name__}: {error}"
        )


def _facts(plan: Plan) -> Mapping[str, str]:
    environment = take_snapshot()
    gpus = ", ".join(f"{gpu.name} ({gpu.uuid})" for gpu in environment.gpus)
    versions = (f"{name} {environment.packages.get(name, 'absent')}" for name in PACKAGES)
    return {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "GPU": gpus or "none",
        "driver": environment.driver_version or "none",
        "versions": f"llem {environment.tool_version}, Python {environment.python}, "
        + ", ".join(versions),
        "model": plan.described,
    }


def _no_gpu() -> str | None:
    available = availability()
    if not available.usable:
        return available.reason
    import torch

    return None if torch.cuda.is_available() else "torch finds no CUDA device"


def _say(text: str) -> None:
    print(f"… {text}", file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=25.0, help="end within this time")
    parser.add_argument("--output", type=Path, default=_folder(), help="folder of report and data")
    parser.add_argument("--model", default="shape:llama-3.1-8b", help="what is run")
    parser.add_argument("--rehearse", action="store_true", help="over a simulated GPU")
    return parser


def _folder() -> Path:
    return Path("results") / f"gpu_validation_{dt.datetime.now(dt.UTC):%Y%m%d_%H%M%S}"


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
    sys.exit(130)
