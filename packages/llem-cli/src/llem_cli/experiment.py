"""What ``llem run`` does with an experiment: resolve, then plan or measure, then summarise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from llem_core.config.layers import merge
from llem_core.config.loader import (
    QUICKSTART,
    environment_settings,
    load_experiment_config,
    split_limit,
)
from llem_core.config.user import load_user_config

from llem_cli.options import Flags, Request, output_folder, plugin_notes
from llem_cli.plan import Resolved, plan
from llem_cli.session import FAILED, Session


def run_experiment_request(
    request: Request, flags: Flags, content: Mapping[str, Any], session: Session
) -> tuple[int, str]:
    """Measure one experiment, or say what would be measured.

    Args:
        request: what was asked for.
        flags: settings of the experiment.
        content: what is in the experiment's file.
        session: has the signal that ends the program.

    Returns:
        The exit code, and what belongs on stdout.

    Raises:
        LLEMError: there is no result.
    """
    # Pauses belong to studies; one experiment has none to leave out.
    rest, limit_s = split_limit(content, request.config or "command line")
    resolved, flag_s = _resolve(request, replace(flags, no_gaps=False), rest)
    for remark in resolved.notes:
        request.tell(remark)
    if request.dry_run:
        return _plan(request, resolved)
    return _measure(request, resolved, limit_s if flag_s is None else flag_s, session)


def _resolve(
    request: Request, flags: Flags, content: Mapping[str, Any]
) -> tuple[Resolved, float | None]:
    """The experiment with all layers over and under its file, and the time limit of the flags (s).

    Raises:
        ConfigError: the file, a variable or a flag cannot be used.
    """
    settings, remarks = environment_settings()
    overrides, limit_s = split_limit(flags.overrides(merge(content, settings)), "command line")
    path = request.config
    default = QUICKSTART if path is None and "model" not in {**settings, **overrides} else content
    user = load_user_config()
    config = load_experiment_config(path, overrides, user=user, content=default)
    output = output_folder(request.output, user.output)
    return Resolved(config, output, (*remarks, *plugin_notes())), limit_s


def _plan(request: Request, resolved: Resolved) -> tuple[int, str]:
    from llem_cli.show.dry_run import as_json, as_text

    planned = plan(resolved)
    text = as_json(planned) if request.as_json else as_text(planned)
    return (FAILED if planned.problems else 0), text


def _measure(
    request: Request, resolved: Resolved, limit_s: float | None, session: Session
) -> tuple[int, str]:
    # The runner brings pyarrow and more; a dry run and a wrong configuration do without.
    from llem_core.api import run_and_save

    from llem_cli.show.progress import Progress
    from llem_cli.show.summary import summarise

    with Progress(request.quiet, request.verbose, session.interruption) as progress:
        saved = run_and_save(resolved.config, resolved.output, progress, limit_s=limit_s)
    if request.as_json:
        return 0, saved.result.model_dump_json(indent=2)
    return 0, summarise(saved.result, saved.files)
