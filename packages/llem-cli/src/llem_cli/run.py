"""``llem run``: its options; what it does is in ``experiment``."""

from __future__ import annotations

from pathlib import Path

import click

from llem_cli.session import Session


@click.command()
@click.argument("config", required=False)
@click.option("-m", "--model", help="Hub id, local path or shape:<name>.")
@click.option("-b", "--backend", help="Name of the backend.")
@click.option(
    "-d", "--dataset", help="bundled, synthetic, the path of a JSONL file or hf:<repo>[@revision]."
)
@click.option("-n", "n", type=int, help="Number of prompts.")
@click.option("--batch-size", type=int, help="Prompts that run together; the backend's batch_size.")
@click.option("--precision", help="auto, fp32, fp16 or bf16.")
@click.option("--sampler", help="Name of the sampler; auto for the best usable one, none for none.")
@click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="PATH=VALUE",
    help="Set any field, such as pytorch.attn_implementation=eager; VALUE is YAML. Repeatable.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Folder for results.  [default: ./results]",
)
@click.option("--dry-run", is_flag=True, help="Check everything, load and write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON and nothing else.")
@click.option("-q", "--quiet", is_flag=True, help="Print the summary and errors only.")
@click.option("-v", "--verbose", is_flag=True, help="Print each step, and tracebacks of errors.")
@click.pass_obj
def run(
    session: Session,
    /,
    config: str | None,
    output: Path | None,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    **settings: object,
) -> int:
    """Measure one experiment: CONFIG is its YAML file.

    Without CONFIG and without --model, a small quickstart experiment is measured. Flags win over
    LLEM_* variables, those over CONFIG, and that over your own configuration (see llem config).
    """
    if quiet and verbose:
        raise click.UsageError("--quiet and --verbose exclude each other.")
    session.verbose = verbose
    from llem_cli.experiment import Request, run_request

    request = Request(config, output, dry_run, as_json, quiet, verbose)
    return run_request(request, settings, session.interruption)
