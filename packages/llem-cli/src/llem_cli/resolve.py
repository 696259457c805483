"""Finds the experiment that ``llem run`` was asked for, and where its results go."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from llem_core.config.experiment import ExperimentConfig
from llem_core.config.layers import merge
from llem_core.config.loader import QUICKSTART, environment_settings, load_experiment_config
from llem_core.config.user import load_user_config
from llem_core.config.yaml import read_yaml
from llem_core.plugins import plugins
from llem_core.plugins.discover import DISABLE_VARIABLE

from llem_cli.overrides import Flags

OUTPUT_VARIABLE = "LLEM_OUTPUT"


@dataclass(frozen=True, slots=True)
class Resolved:
    """An experiment and where its results go.

    Attributes:
        config: the experiment.
        output: folder that the result's own folder is made in.
        notes: remarks on the environment and the plugins, for the user.
    """

    config: ExperimentConfig
    output: Path
    notes: tuple[str, ...]


def resolve(path: str | None, flags: Flags, output: Path | None) -> Resolved:
    """Read the experiment with all layers over and under it.

    Args:
        path: the experiment file; without it and without a model, the quickstart experiment.
        flags: the command line's own settings.
        output: the command line's own output folder.

    Raises:
        ConfigError: the file, a variable or a flag cannot be used.
    """
    content = {} if path is None else read_yaml(Path(path))
    settings, remarks = environment_settings()
    below = merge(content, settings)
    overrides = flags.overrides(below)
    default = QUICKSTART if path is None and "model" not in {**settings, **overrides} else {}
    user = load_user_config()
    config = load_experiment_config(path, overrides, user=user, default=default)
    return Resolved(config, output_folder(output, user.output), (*remarks, *plugin_notes()))


def output_folder(flag: Path | None, user: Path) -> Path:
    """The folder for results: the flag, the environment, then the user's configuration."""
    variable = os.environ.get(OUTPUT_VARIABLE)
    chosen = flag or (Path(variable) if variable else user)
    return chosen.expanduser()


def plugin_notes() -> list[str]:
    """A sentence for each plugin that is broken or in conflict, but not for one turned off."""
    broken = [
        f"the plugin {problem.named} cannot be used: {problem.reason}"
        for problem in plugins().problems
        if DISABLE_VARIABLE not in problem.reason
    ]
    return [*broken, *plugins().conflicts(), *plugins().remarks]
