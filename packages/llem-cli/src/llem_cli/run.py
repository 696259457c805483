"""``llem run``: its options; ``experiment`` and ``study`` have what it does."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from llem_cli.invocation import Invocation

if TYPE_CHECKING:
    from llem_cli.options import Flags, Request


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
@click.option("--cycles", type=int, help="Repetitions of every experiment.  [studies: 3]")
@click.option(
    "--order",
    # Written out: to take them from core would cost --help the import of pydantic.
    type=click.Choice(["sequential", "interleaved", "shuffled"]),
    help="Order of experiments and cycles.  [studies: shuffled]",
)
@click.option("--no-gaps", is_flag=True, help="No pauses between the runs of a study.")
@click.option("--timeout", type=float, metavar="SECONDS", help="End an experiment after that.")
@click.option(
    "--resume",
    is_flag=False,
    flag_value="",
    metavar="[DIR]",
    help="Go on with the study in DIR, or with the latest one; CONFIG may be left out.",
)
@click.option(
    "--on-interrupt",
    type=click.Choice(["cancel", "leave"]),
    help="What Ctrl+C does with jobs that would go on without this process.  [default: ask on a "
    "terminal, else cancel]",
)
@click.option("--yes", is_flag=True, help="Do not ask before a study of many runs.")
@click.option("--dry-run", is_flag=True, help="Check everything, load and write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON and nothing else.")
@click.option("-q", "--quiet", is_flag=True, help="Print the summary and errors only.")
@click.option("-v", "--verbose", is_flag=True, help="Print each step, and tracebacks of errors.")
@click.pass_obj
def run(
    invocation: Invocation,
    /,
    config: str | None,
    output: Path | None,
    resume: str | None,
    on_interrupt: str | None,
    yes: bool,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    **settings: Any,
) -> int:
    """Measure what CONFIG says: a YAML file of one experiment or of a study.

    A study is known by its keys: sweep, experiments, base, name, or execution with more than a
    time limit. An experiment becomes a study of one with --cycles, --order or --resume. Without
    CONFIG and without --model, a small quickstart experiment is measured.

    Flags win over LLEM_* variables, those over CONFIG, and that over your own configuration (see
    llem config). In a study they win over what is swept, too.
    """
    if quiet and verbose:
        raise click.UsageError("--quiet and --verbose exclude each other.")
    invocation.started, invocation.verbose = True, verbose
    if dry_run:
        # Hundreds of classes are made now, and nearly nothing is thrown away: they need not be
        # looked through for garbage again and again. Where a run is measured, the interpreter stays
        # as it is.
        gc.set_threshold(50_000)
    from llem_cli.options import Flags, Request
    from llem_cli.show.output import stdout_reserved, write_result

    request = Request(config, output, resume, yes, dry_run, as_json, quiet, verbose, on_interrupt)
    flags = Flags(**settings)
    with stdout_reserved():
        code, text = _perform(request.with_file_of_resume(), flags, invocation)
    if text is not None:
        invocation.hint = (
            invocation.kept
        )  # stdout may be full, and the result is there all the same
        write_result(text)
    return code


def _perform(request: Request, flags: Flags, invocation: Invocation) -> tuple[int, str | None]:
    """Measure an experiment or a study, or say what would be measured.

    Returns:
        The exit code, and what belongs on stdout; ``None`` for nothing.

    Raises:
        LLEMError: there is no result.
    """
    from llem_core.config.yaml import read_yaml

    document = None if request.config is None else read_yaml(Path(request.config))
    if request.is_study(document, flags):
        from llem_cli.study import run_study_request

        return run_study_request(request, flags, document, invocation)
    from llem_cli.experiment import run_experiment_request

    return run_experiment_request(request, flags, document, invocation)
