"""Validates energy measurement on this machine's NVIDIA GPU, in one command and a bounded time.

It runs, most telling first: the sensor's passport; counter against integrated power over a long
window; a shape of 8B parameters in bf16 at growing batch sizes; repeats; prefill and decode against
output length. There are plans of 5, 15 and 60 minutes. After each check the Markdown report so far
is written with all raw data to a folder, so that one that is interrupted leaves what it has; at the
end it is printed::

    uv run python benchmarks/gpu_validation.py [--minutes 5|15|60] [--output DIR] [--model NAME]

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
from typing import Any

from llem_core.environment import take_snapshot
from llem_energy_nvml.availability import availability
from validation import checks
from validation.rehearsal import rehearsal_plan, simulated_machine
from validation.report import Section, Verdict, as_markdown, write_raw
from validation.running import Bench, Plan

REHEARSED = "REHEARSAL over a SIMULATED device: nothing here was measured"
Check = Callable[[Bench], Section]
PACKAGES = ("torch", "transformers", "nvidia-ml-py")


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    if options.rehearse:
        with simulated_machine():
            return validate(options.output, rehearsal_plan(60.0 * options.minutes), REHEARSED)
    why_not = _no_gpu()
    if why_not:
        print(
            f"No NVIDIA GPU can be validated here ({why_not}), so nothing was run; --rehearse "
            "tries the command over a simulated one.",
            file=sys.stderr,
        )
        return 2
    plan = real_plan(options.model, options.minutes)
    return validate(options.output, plan, "Validation on a real device")


def validate(folder: Path, plan: Plan, heading: str, chosen: Sequence[Check] | None = None) -> int:
    """Run every check, write the report after each, and print it; gives the exit code."""
    folder.mkdir(parents=True, exist_ok=True)
    bench = Bench(plan, folder / "experiments", _say)
    facts = _facts(plan)
    sections: list[Section] = []
    report = ""
    to_run = CHECKS if chosen is None else chosen
    for check in to_run:
        sections.append(_guarded(check, bench))
        to_come = [_to_come(later) for later in to_run[len(sections) :]]
        report = _write(folder, heading, facts, [*sections, *to_come])
    print(report)
    return 1 if any(section.verdict is Verdict.FAILS for section in sections) else 0


def real_plan(model: str, minutes: int) -> Plan:
    """What is run on a real GPU within so many minutes, one of ``PLANS``."""
    sizes = dict(PLANS[minutes])
    baseline_s = sizes.pop("baseline_s")
    return Plan(
        model=model,
        described=f"{model}, bf16, random weights",
        fields={
            "dataset": "synthetic",
            "max_input_tokens": 128,
            "warmup": {"n_warmup": 2, "convergence_detection": False},
            "baseline": {"duration_seconds": baseline_s},
            "energy": {"sampler": "nvml"},
            "pytorch": {"device": "cuda", "precision": "bf16"},
        },
        limit_s=60.0 * minutes,
        **sizes,
    )


PLANS: Mapping[int, Mapping[str, Any]] = {
    5: {
        "baseline_s": 3.0,
        "batches": (1, 8, 32),
        "long_window_s": 20.0,
        "window_s": 5.0,
        "repeats": 3,
        "output_tokens": 64,
        "phase_outputs": (16, 128),
    },
    15: {
        "baseline_s": 10.0,
        "batches": (1, 8, 32, 64),
        "long_window_s": 60.0,
        "window_s": 10.0,
        "repeats": 5,
        "output_tokens": 128,
        "phase_outputs": (16, 64, 256),
    },
    60: {
        "baseline_s": 30.0,
        "batches": (1, 8, 16, 32, 64, 128),
        "long_window_s": 300.0,
        "window_s": 60.0,
        "repeats": 10,
        "output_tokens": 128,
        "phase_outputs": (16, 64, 256),
    },
}
"""Minutes to the sizes of a plan, as in ``Plan``; ``baseline_s`` is each of two baselines (s)."""


CHECKS: tuple[Check, ...] = (
    checks.passport,
    checks.counter_against_integral,
    checks.batches,
    checks.repeats,
    checks.phases,
)


def _guarded(check: Check, bench: Bench) -> Section:
    try:
        return check(bench)
    # One check that fails, such as for memory, must not cost the others' figures.
    except Exception as error:  # noqa: BLE001 - whatever an engine or a driver raises
        name = check.__name__.replace("_", " ")
        return Section(
            name.capitalize(), "It ends.", Verdict.FAILS, remark=f"{type(error).__name__}: {error}"
        )


def _write(
    folder: Path, heading: str, facts: Mapping[str, str], sections: Sequence[Section]
) -> str:
    """Replace report and raw data by those of now; gives the report."""
    report = as_markdown(heading, facts, sections)
    (folder / "report.md").write_text(report, encoding="utf-8")
    write_raw(folder / "validation.json", {"heading": heading, **facts}, sections)
    return report


def _to_come(check: Check) -> Section:
    """A check that would be next, for the report of a command that is interrupted."""
    name = check.__name__.replace("_", " ").capitalize()
    return Section(name, "", Verdict.NOT_RUN, remark="It was not reached.")


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
    parser.add_argument(
        "--minutes", type=int, choices=PLANS, default=15, help="which plan; it ends within this"
    )
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
