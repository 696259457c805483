"""``llem report``: its options; the distribution llem-report does the work."""

from __future__ import annotations

from pathlib import Path

import click

from llem_cli.invocation import Invocation


@click.command()
@click.argument(
    "folders", nargs=-1, required=True, metavar="DIR...", type=click.Path(path_type=Path)
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write.  [default: report.html in DIR, or here for several; stdout for --md, "
    "--json]",
)
@click.option("--md", "form", flag_value="md", help="Write the facts as Markdown, without plots.")
@click.option("--json", "form", flag_value="json", help="Write the facts as JSON.")
@click.option("--open", "show", is_flag=True, help="Open the page in a browser.")
@click.option("-v", "--verbose", is_flag=True, help="Print tracebacks of errors.")
@click.pass_obj
def report(
    invocation: Invocation,
    folders: tuple[Path, ...],
    output: Path | None,
    form: str | None,
    show: bool,
    verbose: bool,
) -> None:
    """Make one page of what was measured: an experiment, a study, or several of them.

    DIR is a folder that llem run made. The page is one HTML file that opens offline: figures with
    intervals, plots with their data, the environment, the uncertainty, warnings and a paragraph for
    a methods section. It may be made while the study still runs.
    """
    invocation.started, invocation.verbose = True, verbose
    if show and form is not None:
        raise click.UsageError("--open is for the HTML page, not for --md or --json.")
    from llem_cli.show.output import relative, stdout_reserved, write_result

    with stdout_reserved():
        from llem_cli.results.extras import needs_report

        with needs_report("llem report"):
            from llem_report import write_report
        text, path = write_report(folders, form or "html", output)
        if show and path is not None:
            click.launch(str(path))
    write_result(text if path is None else relative(path))
