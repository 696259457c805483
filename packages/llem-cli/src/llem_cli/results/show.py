"""``llem show``: the summary of a finished run again, from its files alone."""

from __future__ import annotations

from pathlib import Path

import click

from llem_cli.invocation import Invocation


@click.command()
@click.argument("folder", required=False, metavar="[DIR]", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("-v", "--verbose", is_flag=True, help="Print tracebacks of errors.")
@click.pass_obj
def show(invocation: Invocation, folder: Path | None, as_json: bool, verbose: bool) -> None:
    """Show the summary of an experiment or a study again.

    DIR is a folder that llem run made, or a result file in it; by default the newest in the output
    folder. Nothing is measured. Of a study that still runs it shows what is there so far.
    """
    invocation.started, invocation.verbose = True, verbose
    from llem_cli.show.output import stdout_reserved, write_result

    with stdout_reserved():
        from llem_cli.show.stored import stored

        text = stored(folder, as_json=as_json)
    write_result(text)
