"""The command line's commands; loading them loads neither pydantic nor a plugin."""

from __future__ import annotations

import click

from llem_cli import __version__
from llem_cli.config import config
from llem_cli.results.compare import compare
from llem_cli.results.list import list_
from llem_cli.results.report import report
from llem_cli.results.show import show
from llem_cli.run import run


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="llem", message="%(prog)s %(version)s")
def cli() -> None:
    """Measure the energy, speed and compute of LLM inference."""


cli.add_command(run)
cli.add_command(config)
cli.add_command(report)
cli.add_command(show)
cli.add_command(list_)
cli.add_command(compare)
