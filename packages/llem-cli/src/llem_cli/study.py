"""What ``llem run`` does with a study: resolve, check, confirm, run, summarise."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from llem_core.config.yaml import Document
from llem_core.results.views.block import counted
from llem_core.study.preflight import StudyReport, check_study

from llem_cli.confirm import confirm, on_interrupt
from llem_cli.invocation import FAILED, USAGE, Invocation
from llem_cli.options import Flags, Request
from llem_cli.show.output import relative
from llem_cli.target import Target, resolve_study

_FILES = ("study_result.json", "study.csv", "manifest.json")


def run_study_request(
    request: Request, flags: Flags, document: Document | None, invocation: Invocation
) -> tuple[int, str | None]:
    """Run a study or go on with one, or say what would be done.

    Args:
        request: what was asked for.
        flags: settings of the experiments and of the execution.
        document: what is in the study's or the experiment's file.
        invocation: is told how to go on if the study does not come to its end.

    Returns:
        The exit code, and what belongs on stdout; ``None`` for nothing.

    Raises:
        LLEMError: there is no result.
    """
    target = resolve_study(request, document, flags)
    for remark in target.notes:
        request.tell(remark)
    report = check_study(target.study, target.directory or target.output, target.completed)
    if request.dry_run:
        return _plan(request, target, report)
    report.raise_if_any()
    _tell(request, target, report)
    if not confirm(target.study, target.n_left, report.estimate, yes=request.yes):
        return USAGE, None
    return _run(request, target, invocation)


def _plan(request: Request, target: Target, report: StudyReport) -> tuple[int, str]:
    from llem_cli.show.study_dry_run import as_json, as_text

    text = as_json(target, report) if request.as_json else as_text(target, report, request.verbose)
    return (FAILED if report.problems else 0), text


def _tell(request: Request, target: Target, report: StudyReport) -> None:
    """Say before the start what the study is, and what is left out of it."""
    for remark in report.notes:
        request.tell(str(remark))
    for skipped in target.study.skipped:
        request.tell(f"skipped, as it is no valid experiment: {skipped.label}: {skipped.reason}")
    for merged in target.study.merged:
        request.tell(merged)
    if target.defaults:
        execution = target.study.execution
        request.tell(
            f"{counted(execution.n_cycles, 'cycle')}, {execution.cycle_order}: "
            f"{' and '.join(f'execution.{name}' for name in target.defaults)} "
            f"{'has' if len(target.defaults) == 1 else 'have'} the default of llem run."
        )


def _run(request: Request, target: Target, invocation: Invocation) -> tuple[int, str]:
    # The runner brings multiprocessing and more; a dry run does without.
    from llem_core.api import run_checked_study

    from llem_cli.show.study_progress import StudyProgress
    from llem_cli.show.summary import summarise_study

    with StudyProgress(request.quiet, request.verbose, invocation.interruption) as progress:
        try:
            decide = on_interrupt(request.on_interrupt, progress)
            result = run_checked_study(
                target.study, target.output, target.directory, progress, decide
            )
        except BaseException:
            invocation.hint = _how_to_go_on(progress)
            raise
    if progress.directory is not None:
        invocation.kept = f"The results lie in {relative(Path(progress.directory))}."
    code = 0 if result.status == "completed" else FAILED
    if request.as_json:
        return code, result.model_dump_json(indent=2)
    return code, summarise_study(result, progress.failures, _files(progress.directory))


def _how_to_go_on(progress: Any) -> str:
    """What to do when the study ended before its end.

    Empty where it has not started, and where its folder is no longer there.
    """
    if progress.directory is None or not Path(progress.directory).exists():
        return ""
    folder = shlex.quote(relative(Path(progress.directory)))
    left = ""
    if progress.n_left:
        what = "run goes" if progress.n_left == 1 else "runs go"
        left = f"; {progress.n_left} {what} on, and will be found again"
    return (
        f"{progress.n_completed} of {counted(progress.n_runs, 'run')} are completed, and kept in "
        f"{folder}{left}. Go on with: llem run --resume {folder}"
    )


def _files(directory: str | None) -> list[Path]:
    if directory is None:
        return []
    return [path for name in _FILES if (path := Path(directory, name)).exists()]
