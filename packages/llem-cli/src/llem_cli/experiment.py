"""What ``llem run`` does: resolve, then plan or measure, then print."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llem_cli.output import note, stdout_reserved, write_result
from llem_cli.overrides import Flags
from llem_cli.resolve import Resolved, resolve
from llem_cli.signals import Interruption


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for, settings of the experiment apart."""

    config: str | None
    output: Path | None
    dry_run: bool
    as_json: bool
    quiet: bool
    verbose: bool


def run_request(request: Request, settings: Mapping[str, Any], interruption: Interruption) -> int:
    """Measure one experiment, or say what would be measured; gives the exit code.

    Raises:
        LLEMError: there is no result.
    """
    with stdout_reserved():
        resolved = resolve(request.config, Flags(**settings), request.output)
        if not request.quiet:
            for remark in resolved.notes:
                note(f"Note: {remark}" if remark.endswith(("?", ".")) else f"Note: {remark}.")
        code, text = (
            _plan(request, resolved)
            if request.dry_run
            else _measure(request, resolved, interruption)
        )
    write_result(text)
    return code


def _plan(request: Request, resolved: Resolved) -> tuple[int, str]:
    from llem_cli.dryrun import as_json, as_text, plan

    planned = plan(resolved)
    text = as_json(planned) if request.as_json else as_text(planned)
    return (1 if planned.problems else 0), text


def _measure(request: Request, resolved: Resolved, interruption: Interruption) -> tuple[int, str]:
    # The runner brings pyarrow and more; a dry run and a wrong configuration do without.
    from llem_core.api import run_and_save
    from llem_core.plugins import plugins

    from llem_cli.progress import Progress
    from llem_cli.summary import summarise

    with Progress(request.quiet, request.verbose, interruption) as progress:
        saved = run_and_save(resolved.config, resolved.output, progress)
    for problem in plugins().event_problems:
        note(f"Note: the plugin {problem.named}: {problem.reason}.")
    if request.as_json:
        return 0, saved.result.model_dump_json(indent=2)
    return 0, summarise(saved.result, saved.files)
