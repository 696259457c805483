"""What ``llem run`` does with an experiment: resolve, then plan or measure, then summarise."""

from __future__ import annotations

from dataclasses import replace

from llem_core.config.layers import COMMAND_LINE, merge
from llem_core.config.loader import (
    QUICKSTART,
    environment_settings,
    load_experiment_config,
    split_limit,
)
from llem_core.config.user import load_user_config
from llem_core.config.yaml import Document

from llem_cli.invocation import FAILED, Invocation
from llem_cli.options import Flags, Request, output_folder, plugin_notes
from llem_cli.plan import Resolved, plan


def run_experiment_request(
    request: Request, flags: Flags, document: Document | None, invocation: Invocation
) -> tuple[int, str]:
    """Measure one experiment, or say what would be measured.

    Args:
        request: what was asked for.
        flags: settings of the experiment.
        document: what is in the experiment's file.
        invocation: has the signal that ends the program.

    Returns:
        The exit code, and what belongs on stdout.

    Raises:
        LLEMError: there is no result.
    """
    # Pauses belong to studies; one experiment has none to leave out.
    rest, limit_s = split_limit(document) if document else (None, None)
    resolved, flag_s = _resolve(request, replace(flags, no_gaps=False), rest)
    for remark in resolved.notes:
        request.tell(remark)
    if request.dry_run:
        return _plan(request, resolved)
    return _measure(request, resolved, limit_s if flag_s is None else flag_s, invocation)


def _resolve(
    request: Request, flags: Flags, document: Document | None
) -> tuple[Resolved, float | None]:
    """The experiment with all layers over and under its file, and the time limit of the flags (s).

    Raises:
        ConfigError: the file, a variable or a flag cannot be used.
    """
    settings, remarks = environment_settings()
    overrides = flags.overrides(merge(document.content if document else {}, settings))
    said, limit_s = split_limit(Document(COMMAND_LINE, overrides))
    if document is None and "model" not in {**settings, **said.content}:
        document = Document("quickstart", QUICKSTART)
    user = load_user_config()
    config = load_experiment_config(document, said.content, user=user)
    output = output_folder(request.output, user.output)
    return Resolved(config, output, (*remarks, *plugin_notes())), limit_s


def _plan(request: Request, resolved: Resolved) -> tuple[int, str]:
    from llem_cli.show.dry_run import as_json, as_text

    planned = plan(resolved)
    text = as_json(planned) if request.as_json else as_text(planned)
    return (FAILED if planned.problems else 0), text


def _measure(
    request: Request, resolved: Resolved, limit_s: float | None, invocation: Invocation
) -> tuple[int, str]:
    # The runner brings pyarrow and more; a dry run and a wrong configuration do without.
    from llem_core.api import run_and_save

    from llem_cli.show.experiment_progress import ExperimentProgress
    from llem_cli.show.output import note, relative
    from llem_cli.show.summary import summarise

    with ExperimentProgress(request.quiet, request.verbose, invocation.interruption) as progress:
        saved = run_and_save(resolved.config, resolved.output, progress, limit_s=limit_s)
    if saved.error is not None:
        note(f"Error: {saved.error}")
    if saved.files:
        invocation.kept = f"The result lies in {relative(saved.files[0])}."
    code = 0 if saved.error is None else FAILED
    if request.as_json:
        return code, saved.result.model_dump_json(indent=2)
    return code, summarise(saved.result, saved.files)
