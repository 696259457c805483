"""The program ``llem``: the one place in which errors become exit codes.

0: done. 1: the run failed. 2: usage or configuration. 3: a loss beyond the
limit of ``llem compare``. 130 and 143: interrupted.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from llem_cli.signals import Interruption

if TYPE_CHECKING:
    from collections.abc import Sequence

    import click

    from llem_cli.invocation import Invocation

# All other imports stand in functions: until `catch` has been called, Ctrl+C shows a traceback.


def main() -> int:
    """Run the program with the process's arguments and signals."""
    # pydantic looks for plugins of its own in every installed distribution: that takes time, and
    # one with broken metadata would keep this program from starting at all.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    interruption = Interruption()
    try:
        interruption.catch()
        from llem_core.inherited import mend_inherited

        mend_inherited()
        code = execute(sys.argv[1:], interruption)
    except KeyboardInterrupt:  # it came while another error was being told
        code = _interrupted(interruption)
    interruption.release()
    return code


def execute(arguments: Sequence[str], interruption: Interruption | None = None) -> int:
    """Run one command and give its exit code; every error has been told on stderr."""
    from llem_cli.invocation import Invocation

    invocation = Invocation(interruption=interruption or Interruption())
    try:
        code = _invoke(arguments, invocation)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the outermost edge
        if invocation.interruption.number is not None or _is_interrupt(error):
            return _interrupted(invocation.interruption, invocation.hint)
        return _tell(error, invocation)
    # A library may have swallowed the signal's exception.
    if invocation.interruption.number is None:
        return code
    return _interrupted(invocation.interruption, invocation.hint)


def _invoke(arguments: Sequence[str], invocation: Invocation) -> int:
    from llem_cli.cli import cli

    try:
        code = cli.main(list(arguments), prog_name="llem", standalone_mode=False, obj=invocation)
    except OSError as error:
        if invocation.started:
            raise
        from llem_cli.show.output import stdout_failed

        raise stdout_failed(error) from error
    return code if isinstance(code, int) else 0


def _is_interrupt(error: BaseException) -> bool:
    import click

    return isinstance(error, KeyboardInterrupt | click.Abort)


def _interrupted(interruption: Interruption, hint: str = "") -> int:
    from llem_cli.show.output import note

    _end_children()
    note(f"Interrupted. {hint}".rstrip())
    return interruption.exit_code


def _end_children() -> None:
    """Kill what is left of the data-parallel processes; at exit Python would wait for them."""
    multiprocessing = sys.modules.get("multiprocessing")
    if multiprocessing is not None:
        for child in multiprocessing.active_children():
            child.kill()


def _tell(error: BaseException, invocation: Invocation) -> int:
    """Say what went wrong in one paragraph, and give the exit code that belongs to it."""
    import click

    if isinstance(error, click.ClickException):
        return _tell_usage(error)
    from llem_core.errors import LLEMError

    from llem_cli.invocation import FAILED, USAGE
    from llem_cli.show.output import note, write_stderr

    if invocation.verbose:
        import traceback

        write_stderr("".join(traceback.format_exception(error)))
    if isinstance(error, LLEMError):
        note(f"Error: {_one_line(error)} {invocation.hint}".rstrip())
        return error.exit_code
    if _is_validation_error(error):
        note(f"Error: {_one_line(error)}")
        return USAGE
    hint = "" if invocation.verbose else " Run the same with --verbose to see where it happened."
    note(
        f"Error: internal error ({type(error).__name__}: {_one_line(error)}). This is a mistake "
        f"in llem or in one of its plugins, not in your configuration.{hint}"
    )
    return FAILED


def _tell_usage(error: click.ClickException) -> int:
    import io

    from llem_cli.show.output import write_stderr

    told = io.StringIO()
    error.show(told)
    write_stderr(told.getvalue())
    return error.exit_code


def _is_validation_error(error: BaseException) -> bool:
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and isinstance(error, pydantic.ValidationError)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
