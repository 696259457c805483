"""What can be found wrong with an experiment before anything is loaded."""

from __future__ import annotations

from dataclasses import replace

from llem_core.config.experiment import ExperimentConfig
from llem_core.contracts.backend import CheckReport
from llem_core.contracts.hookspecs import Availability
from llem_core.errors import LLEMError, PreFlightError
from llem_core.plugins import plugins
from llem_core.units import format_bytes

# Rough sizes on disk, rather too large: the record without its requests; a request; a token.
_RECORD_BYTES, _REQUEST_BYTES, _TOKEN_BYTES = 100_000, 400, 24


def check(config: ExperimentConfig) -> CheckReport:
    """Ask the backend about the experiment.

    Raises:
        PreFlightError: the backend has problems with it, all of them in one message.
        ConfigError: a value can never work, on whatever machine.
    """
    report = ask_backend(config)
    if report.problems:
        raise PreFlightError(f"{config.model}: " + "; ".join(report.problems))
    return report


def ask_backend(config: ExperimentConfig, available: Availability | None = None) -> CheckReport:
    """The backend's own report, with a problem added where the memory cannot suffice.

    Args:
        config: the experiment.
        available: what the backend says of its availability, where it has been asked already.
    """
    spec = plugins().backends.get(config.backend)
    available = available or spec.availability()
    if not available.usable:
        return CheckReport(problems=(f"backend {spec.name!r} cannot be used: {available.reason}",))
    try:
        report = spec.check(config.workload())
    except LLEMError:
        raise
    # A backend is foreign code and may raise anything.
    except Exception as error:
        raise PreFlightError(
            f"the backend {spec.name!r} failed to check the experiment: "
            f"{type(error).__name__}: {error}"
        ) from error
    if config.load.serves and not spec.serves:
        cannot = (
            f"backend {spec.name!r} runs batches and cannot serve a load (load.mode is "
            f"{config.load.mode}); take one that serves requests, or `load.mode: batch`"
        )
        report = replace(report, problems=(*report.problems, cannot))
    needed, free = report.memory_estimate_bytes, report.memory_available_bytes
    if needed is None or free is None or needed <= free:
        return report
    problem = (
        f"about {format_bytes(needed)} of memory are needed and {format_bytes(free)} are free; "
        "lower the batch size, max_output_tokens or the precision, or take a smaller model"
    )
    return CheckReport(
        problems=(*report.problems, problem),
        device_kind=report.device_kind,
        memory_estimate_bytes=needed,
        memory_available_bytes=free,
        notes=report.notes,
    )


def disk_bytes(config: ExperimentConfig) -> int:
    """About the size of the files of one result, rather too large."""
    request = _REQUEST_BYTES + config.max_output_tokens * _TOKEN_BYTES
    return _RECORD_BYTES + config.n * request
