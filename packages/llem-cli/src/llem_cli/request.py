"""What ``llem run`` was asked for; an experiment or a study, told apart by its keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from llem_core.config.study import STUDY_KEYS
from llem_core.config.yaml import read_yaml

from llem_cli.output import note, stdout_reserved, write_result
from llem_cli.overrides import Flags
from llem_cli.session import Session

LATEST = ""


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for, settings of the experiments apart.

    Attributes:
        config: the experiment's or the study's file.
        output: folder for results.
        resume: the folder of the study to go on with; ``LATEST`` for the latest one; ``None``
            to start anew.
        yes: whether a study larger than its cap is agreed to.
        dry_run: whether to say only what would be done.
        as_json: whether to print JSON in place of the summary.
        quiet: whether to print nothing but the summary and errors.
        verbose: whether to print each step.
    """

    config: str | None
    output: Path | None
    resume: str | None
    yes: bool
    dry_run: bool
    as_json: bool
    quiet: bool
    verbose: bool

    def tell(self, remark: str) -> None:
        """Write a remark to stderr, unless quiet."""
        if not self.quiet:
            note(f"Note: {remark}" if remark.endswith(("?", ".")) else f"Note: {remark}.")


def run_request(request: Request, settings: Mapping[str, Any], session: Session) -> int:
    """Measure an experiment or a study, or say what would be measured; gives the exit code.

    Raises:
        LLEMError: there is no result.
    """
    flags = Flags(**settings)
    request = _file_after_resume(request)
    with stdout_reserved():
        content = {} if request.config is None else read_yaml(Path(request.config))
        known = not STUDY_KEYS.isdisjoint(content)
        making = flags.for_a_study()
        if request.resume is not None or known or making:
            if not known and request.resume is None:
                request.tell(f"{making[0]} makes a study of this one experiment")
            from llem_cli.study import run_study_request

            code, text = run_study_request(request, flags, content, session)
        else:
            from llem_cli.experiment import run_experiment_request

            # Pauses belong to studies; one experiment has none to leave out.
            code, text = run_experiment_request(request, replace(flags, no_gaps=False), session)
    if text is not None:
        write_result(text)
    return code


def _file_after_resume(request: Request) -> Request:
    """Take the FILE of ``--resume FILE`` for CONFIG: the folder may be left out there."""
    folder = request.resume
    if folder and request.config is None and folder.endswith((".yaml", ".yml")):
        return replace(request, config=folder, resume=LATEST)
    return request
