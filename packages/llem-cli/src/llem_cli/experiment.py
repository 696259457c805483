"""What ``llem run`` does with an experiment: resolve, then plan or measure, then summarise."""

from __future__ import annotations

from llem_cli.overrides import Flags
from llem_cli.request import Request
from llem_cli.resolve import Resolved, resolve
from llem_cli.session import Session


def run_experiment_request(request: Request, flags: Flags, session: Session) -> tuple[int, str]:
    """Measure one experiment, or say what would be measured.

    Returns:
        The exit code, and what belongs on stdout.

    Raises:
        LLEMError: there is no result.
    """
    resolved = resolve(request.config, flags, request.output)
    for remark in resolved.notes:
        request.tell(remark)
    if request.dry_run:
        return _plan(request, resolved)
    return _measure(request, resolved, session)


def _plan(request: Request, resolved: Resolved) -> tuple[int, str]:
    from llem_cli.dryrun import as_json, as_text, plan

    planned = plan(resolved)
    text = as_json(planned) if request.as_json else as_text(planned)
    return (1 if planned.problems else 0), text


def _measure(request: Request, resolved: Resolved, session: Session) -> tuple[int, str]:
    # The runner brings pyarrow and more; a dry run and a wrong configuration do without.
    from llem_core.api import run_and_save

    from llem_cli.progress import Progress
    from llem_cli.summary import summarise

    with Progress(request.quiet, request.verbose, session.interruption) as progress:
        saved = run_and_save(resolved.config, resolved.output, progress)
    if request.as_json:
        return 0, saved.result.model_dump_json(indent=2)
    return 0, summarise(saved.result, saved.files)
