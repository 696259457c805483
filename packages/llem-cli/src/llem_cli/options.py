"""What the flags of ``llem run`` ask for: settings of experiments, and what to do with them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from llem_core.config.layers import STUDY_KEYS, is_study, merge, nest, parse_assignments
from llem_core.config.loader import split_limit
from llem_core.config.sections import DEFAULT_BACKEND
from llem_core.config.yaml import Document
from llem_core.errors import ConfigError
from llem_core.files import user_path
from llem_core.plugins import plugins
from llem_core.plugins.discover import DISABLE_VARIABLE

from llem_cli.show.output import note

OUTPUT_VARIABLE = "LLEM_OUTPUT"

_Given = tuple[str, str, Any]
"""A flag that was given, the path of the field that it sets, and the value."""


LATEST = ""

_LIMIT = "execution.experiment_timeout_seconds"


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
        on_interrupt: ``cancel`` or ``leave`` jobs that would go on without this process; ``None``
            to ask where there is somebody.
    """

    config: str | None
    output: Path | None
    resume: str | None
    yes: bool
    dry_run: bool
    as_json: bool
    quiet: bool
    verbose: bool
    on_interrupt: str | None = None

    def is_study(self, document: Document | None, flags: Flags) -> bool:
        """Whether a study is asked for; an experiment has none of a study's keys.

        Args:
            document: what is in the file.
            flags: the command line's settings; some make a study of an experiment.
        """
        experiment = document and split_limit(document)[0]
        if self.resume is not None or (experiment and is_study(experiment.content)):
            return True
        making = flags.for_a_study()
        if making:
            self.tell(f"{making[0]} makes a study of this one experiment")
        return bool(making)

    def with_file_of_resume(self) -> Request:
        """Take the FILE of ``--resume FILE`` for CONFIG: the folder may be left out there."""
        if self.resume and self.config is None and self.resume.endswith((".yaml", ".yml")):
            return replace(self, config=self.resume, resume=LATEST)
        return self

    def tell(self, remark: str) -> None:
        """Write a remark to stderr, unless quiet."""
        if not self.quiet:
            note(f"Note: {remark}" if remark.endswith(("?", ".")) else f"Note: {remark}.")


def output_folder(flag: Path | None, user: Path) -> Path:
    """The folder for results: the flag, the environment, then the user's configuration."""
    variable = os.environ.get(OUTPUT_VARIABLE)
    chosen = flag or (Path(variable) if variable else user)
    return user_path(chosen)


def plugin_notes() -> list[str]:
    """A sentence for each plugin that is broken or in conflict, but not for one turned off."""
    broken = [
        f"the plugin {problem.named} cannot be used: {problem.reason}"
        for problem in plugins().problems
        if DISABLE_VARIABLE not in problem.reason
    ]
    return [*broken, *plugins().conflicts(), *plugins().remarks]


@dataclass(frozen=True, slots=True)
class Flags:
    """Flags that set fields of an experiment or of a study's ``execution``.

    ``None`` is a flag that was not given.

    Attributes:
        assignments: the values of ``--set``, as ``path=value``.
    """

    model: str | None = None
    backend: str | None = None
    dataset: str | None = None
    n: int | None = None
    batch_size: int | None = None
    precision: str | None = None
    sampler: str | None = None
    cycles: int | None = None
    order: str | None = None
    timeout: float | None = None
    no_gaps: bool = False
    assignments: Sequence[str] = ()

    def overrides(self, below: Mapping[str, Any]) -> dict[str, Any]:
        """Raw fields that win over everything else.

        Args:
            below: the raw fields of the layers below; ``--batch-size`` goes to the section of
                the backend that they name, if no flag names one.

        Raises:
            ConfigError: a ``--set`` that cannot be read, or that says what a flag says too.
        """
        assigned = parse_assignments(self.assignments)
        given = [*self._experiment(), *self._execution()]
        if self.sampler is not None:
            off = self.sampler.lower() in {"none", "null"}
            given.append(("--sampler", "energy.sampler", None if off else self.sampler))
        if self.batch_size is not None:
            named = self.backend or assigned.get("backend") or below.get("backend")
            if isinstance(named, list):
                raise ConfigError(
                    "--batch-size is for one backend, and the study has several; say which with "
                    "`--set BACKEND.batch_size=…`."
                )
            path = f"{named or DEFAULT_BACKEND}.batch_size"
            given.append(("--batch-size", path, self.batch_size))
        merged = assigned
        for flag, path, value in given:
            if _says(assigned, path):
                raise ConfigError(
                    f"{flag} and --set {path} say the same thing twice; give one of them."
                )
            merged = merge(merged, nest(path, value))
        return merged

    def for_a_study(self) -> list[str]:
        """The flags given that only a study can follow; one of them makes a study of one.

        ``--no-gaps`` and a time limit are none of them: they hold for one experiment as it is.
        """
        flags = [flag for flag, _, _ in self._execution() if flag not in {"--no-gaps", "--timeout"}]
        paths = [assignment.partition("=")[0].strip() for assignment in self.assignments]
        making = [path for path in paths if path.split(".")[0] in STUDY_KEYS and path != _LIMIT]
        return [*flags, *(f"--set {path}" for path in making)]

    def _experiment(self) -> list[_Given]:
        pairs: tuple[_Given, ...] = (
            ("--model", "model", self.model),
            ("--backend", "backend", self.backend),
            ("--dataset", "dataset", self.dataset),
            ("-n", "n", self.n),
            ("--precision", "precision", self.precision),
        )
        return [pair for pair in pairs if pair[2] is not None]

    def _execution(self) -> list[_Given]:
        no_gap_s = 0.0 if self.no_gaps else None
        pairs: tuple[_Given, ...] = (
            ("--cycles", "execution.n_cycles", self.cycles),
            ("--order", "execution.cycle_order", self.order),
            ("--timeout", _LIMIT, self.timeout),
            ("--no-gaps", "execution.config_gap_seconds", no_gap_s),
            ("--no-gaps", "execution.cycle_gap_seconds", no_gap_s),
        )
        return [pair for pair in pairs if pair[2] is not None]


def _says(fields: Mapping[str, Any], path: str) -> bool:
    """Whether ``fields`` has a value at the path, or one that stands for all below it."""
    value: Any = fields
    for part in path.split("."):
        if not isinstance(value, Mapping):
            return True
        if part not in value:
            return False
        value = value[part]
    return True
