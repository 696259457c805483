"""``llem config``: its options; what it shows is put together in ``machine``."""

from __future__ import annotations

import click

from llem_cli.invocation import Invocation


@click.command()
@click.argument("file", required=False)
@click.option(
    "--schema",
    type=click.Choice(["experiment", "study"]),
    is_flag=False,
    flag_value="experiment",
    help="Print the JSON schema of an experiment file, or of a study file (`--schema study`).",
)
@click.option(
    "--probe",
    is_flag=True,
    help="Measure the energy sensors of this machine (seconds), and keep what is found for "
    "later runs.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the same as JSON.")
@click.option("-v", "--verbose", is_flag=True, help="Print tracebacks of errors.")
@click.pass_obj
def config(
    invocation: Invocation,
    file: str | None,
    schema: str | None,
    probe: bool,
    as_json: bool,
    verbose: bool,
) -> None:
    """Show this machine, the installed plugins, other environments and the paths that are used.

    For each plugin, its distribution and whether it can be used here, and why. For each
    environment of your configuration, and of FILE (an experiment or study file), the same there.
    """
    invocation.started, invocation.verbose = True, verbose
    if file is not None and (probe or schema is not None):
        raise click.UsageError("FILE has no effect on --schema and --probe.")
    if schema is not None and probe:
        raise click.UsageError("--schema and --probe exclude each other.")
    from llem_cli.show.machine import describe_machine, describe_schema
    from llem_cli.show.output import stdout_reserved, write_result

    with stdout_reserved():
        if probe:
            from llem_cli.show.probe import describe_probe

            text = describe_probe(as_json)
        else:
            text = describe_machine(as_json, file) if schema is None else describe_schema(schema)
    write_result(text)
