"""``llem compare``: its options; the distribution llem-report does the work."""

from __future__ import annotations

import os
from pathlib import Path

import click

from llem_cli.invocation import REGRESSION, Invocation


class _Percent(click.ParamType[float]):
    """A share such as ``3%`` or ``3``, both of which are three per cent."""

    name = "percent"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        try:
            number = float(str(value).strip().removesuffix("%"))
        except ValueError:
            number = -1.0
        if not 0 <= number < 100:
            self.fail(f"{value!r} is no share from 0% to below 100%.", param, ctx)
        return number


class _Confidence(click.ParamType[float]):
    """A probability such as ``0.95``."""

    name = "probability"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        try:
            number = float(str(value))
        except ValueError:
            number = 0.0
        if not 0.5 <= number < 1:
            self.fail(f"{value!r} is no probability from 0.5 to below 1.", param, ctx)
        return number


@click.command()
@click.argument("before", metavar="A", type=click.Path(path_type=Path))
@click.argument("after", metavar="[B]", required=False, type=click.Path(path_type=Path))
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    help="Figure to compare, by its name in result.csv; may be repeated.  [default: "
    "energy_per_output_token_j where both measured it, else output_tokens_per_second]",
)
@click.option(
    "--max-regression",
    type=_Percent(),
    help="Largest acceptable loss, such as 3%: beyond it the exit code is 3.",
)
@click.option(
    "--confidence",
    type=_Confidence(),
    default=0.95,
    show_default=True,
    help="Of the verdicts, over all rows together.",
)
@click.option("--anyway", is_flag=True, help="Compare what is not alike, and say so.")
@click.option(
    "--save-baseline",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the results of A (of B where there is one) to this file, to compare with later.",
)
@click.option("--markdown", is_flag=True, help="Print Markdown.")
@click.option("--summary", is_flag=True, help="Append Markdown to the file $GITHUB_STEP_SUMMARY.")
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON.")
@click.option("-v", "--verbose", is_flag=True, help="Print tracebacks of errors.")
@click.pass_obj
def compare(
    invocation: Invocation,
    before: Path,
    after: Path | None,
    metrics: tuple[str, ...],
    max_regression: float | None,
    confidence: float,
    anyway: bool,
    save_baseline: Path | None,
    markdown: bool,
    summary: bool,
    as_json: bool,
    verbose: bool,
) -> int:
    """Compare two experiments or two studies: how far B differs from A, and how sure that is.

    A and B are folders that llem run made, or A is a baseline file that --save-baseline wrote.
    Different workloads, devices or hosts, and estimates of energy, are refused without --anyway.
    """
    invocation.started, invocation.verbose = True, verbose
    if after is None and save_baseline is None:
        raise click.UsageError("Missing argument 'B': what A is compared with.")
    if markdown and as_json:
        raise click.UsageError("--markdown and --json exclude each other.")
    target = os.environ.get("GITHUB_STEP_SUMMARY") if summary else None
    if summary and not target:
        raise click.UsageError("--summary needs the variable GITHUB_STEP_SUMMARY to name a file.")
    from llem_cli.show.output import relative, stdout_reserved, write_result

    with stdout_reserved():
        from llem_cli.results.extras import needs_report

        with needs_report("llem compare"):
            from llem_report import compare as work
        sides = [work.read_side(path) for path in (before, after) if path is not None]
        if save_baseline is not None:
            saved = work.save_baseline(sides[-1], save_baseline)
            if after is None:
                text, failed = relative(saved), False
        if after is not None:
            question = work.Question(metrics, max_regression, confidence, anyway)
            found = work.compare(sides[0], sides[1], question)
            failed = found.failed
            if target:
                _append(Path(target), work.as_markdown(found))
            if as_json:
                text = work.as_json(found)
            elif markdown:
                text = work.as_markdown(found)
            else:
                from llem_cli.show.table import render

                text = render(work.as_blocks(found))
    write_result(text)
    return REGRESSION if failed else 0


def _append(file: Path, text: str) -> None:
    try:
        with file.open("a", encoding="utf-8") as summary:
            summary.write(text + "\n")
    except OSError as error:
        from llem_core.errors import ConfigError

        raise ConfigError(
            f"{file}, which GITHUB_STEP_SUMMARY names, cannot be written: {error.strerror}."
        ) from error
