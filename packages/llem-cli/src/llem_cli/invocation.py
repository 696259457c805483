"""What one call of the program shares between its commands and its error handling."""

from __future__ import annotations

from dataclasses import dataclass, field

from llem_cli.signals import Interruption

FAILED = 1
"""Exit code: the run failed, or what was asked for cannot be run."""
USAGE = 2
"""Exit code: the command line or a configuration is wrong."""
REGRESSION = 3
"""Exit code: ``llem compare`` found a loss beyond the limit that it was given."""


@dataclass
class Invocation:
    """One call of ``llem``.

    Attributes:
        verbose: whether errors come with their traceback.
        interruption: the signal that asked it to end, if any.
        started: whether a command runs; before, the command line is read and help is printed.
        hint: what to do if it ends without a result; empty where there is nothing to say.
        kept: where the result lies, once it is written; empty where nothing was to be written.
    """

    verbose: bool = False
    interruption: Interruption = field(default_factory=Interruption)
    started: bool = False
    hint: str = ""
    kept: str = ""
