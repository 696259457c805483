"""``llem list``: what the output folder holds."""

from __future__ import annotations

from pathlib import Path

import click

from llem_cli.invocation import Invocation

_MOST = 30


@click.command("list")
@click.argument("folder", required=False, metavar="[FOLDER]", type=click.Path(path_type=Path))
@click.option(
    "-n",
    "--most",
    type=click.IntRange(min=1),
    default=_MOST,
    show_default=True,
    help="How many to list.",
)
@click.option("--all", "every", is_flag=True, help="List all of them.")
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
@click.option("-v", "--verbose", is_flag=True, help="Print tracebacks of errors.")
@click.pass_obj
def list_(
    invocation: Invocation,
    folder: Path | None,
    most: int,
    every: bool,
    as_json: bool,
    verbose: bool,
) -> None:
    """List experiments and studies, the newest first, with their main figures.

    FOLDER is where llem run put them; by default the output folder that it would use now. A folder
    that cannot be read is in the list, with the reason.
    """
    invocation.started, invocation.verbose = True, verbose
    from llem_cli.show.output import stdout_reserved, write_result

    with stdout_reserved():
        from llem_cli.show.stored import listed

        text = listed(folder, None if every else most, as_json=as_json)
    write_result(text)
