"""The page of the command line, made from the click commands and the exception tree."""

from __future__ import annotations

import click
from llem_cli.cli import cli
from llem_core import errors

ENVIRONMENT = (
    ("`LLEM_OUTPUT`", "Folder for results, below `--output` and above the user's configuration."),
    (
        "`LLEM_DISABLE_PLUGINS`",
        "Plugins to leave out, by entry point or distribution, separated by commas.",
    ),
    (
        "`LLEM_<KEY>`",
        "Any key of an experiment, `__` between the parts of a path: `LLEM_N=20`, "
        "`LLEM_PYTORCH__BATCH_SIZE=8`. The value is YAML. Above the file, below flags.",
    ),
)


def page(generated: str) -> str:
    lines = [generated, "# Command line", "", _paragraphs(cli.help), ""]
    lines += ["The summary or the JSON goes to stdout, everything else to stderr.", ""]
    lines += ["## `llem`", "", *_options(cli, "llem"), ""]
    for name, command in _walk(cli, "llem"):
        lines += [f"## `{name}`", "", *_usage(command, name), "", _paragraphs(command.help), ""]
        lines += [*_options(command, name), ""]
    lines += ["## Exit codes", "", "| code | meaning |", "|---|---|"]
    lines += [f"| {code} | {meaning} |" for code, meaning in _exit_codes()]
    lines += ["", "## Environment variables", "", "| variable | meaning |", "|---|---|"]
    lines += [f"| {name} | {meaning} |" for name, meaning in ENVIRONMENT]
    return "\n".join(lines) + "\n"


def _walk(group: click.Group, prefix: str) -> list[tuple[str, click.Command]]:
    found: list[tuple[str, click.Command]] = []
    for name, command in sorted(group.commands.items()):
        found.append((f"{prefix} {name}", command))
        if isinstance(command, click.Group):
            found += _walk(command, f"{prefix} {name}")
    return found


def _context(command: click.Command, name: str) -> click.Context:
    settings = cli.context_settings  # commands inherit them from the group
    return click.Context(command, info_name=name, help_option_names=settings["help_option_names"])


def _usage(command: click.Command, name: str) -> list[str]:
    with _context(command, name) as context:
        return [f"Usage: `{name} {' '.join(command.collect_usage_pieces(context))}`"]


def _options(command: click.Command, name: str) -> list[str]:
    lines = ["| option | value | meaning |", "|---|---|---|"]
    with _context(command, name) as context:
        for parameter in command.get_params(context):
            if isinstance(parameter, click.Option) and not parameter.hidden:
                names = ", ".join(f"`{n}`" for n in (*parameter.opts, *parameter.secondary_opts))
                meaning = _escaped(parameter.help or "").replace("|", "\\|")
                lines.append(f"| {names} | {_value(parameter, context)} | {meaning} |")
    return lines


def _value(option: click.Option, context: click.Context) -> str:
    if option.is_flag or option.count:
        return ""
    if isinstance(option.type, click.Choice):
        value = ", ".join(f"`{choice}`" for choice in option.type.choices)
    else:
        value = f"`{option.make_metavar(context)}`"
    return f"{value}, repeatable" if option.multiple else value


def _paragraphs(text: str | None) -> str:
    paragraphs = (text or "").replace("\b", "").split("\n\n")
    return "\n\n".join(_escaped(paragraph) for paragraph in paragraphs)


def _escaped(text: str) -> str:
    """One line, in which `<name>` is shown and is no HTML."""
    return " ".join(text.split()).replace("<", "&lt;").replace("*", "\\*")


def _exit_codes() -> list[tuple[str, str]]:
    by_code: dict[int, list[str]] = {}
    for kind in _subclasses(errors.LLEMError):
        by_code.setdefault(kind.exit_code, []).append(f"`{kind.__name__}`")
    return [
        ("0", "Done."),
        ("1", f"The run failed: {', '.join(by_code[1])}."),
        ("2", f"Usage or configuration: {', '.join(by_code[2])}, or a flag that click refuses."),
        ("3", "`llem compare --max-regression`: the loss is beyond the limit."),
        ("130", "Interrupted by Ctrl+C (SIGINT)."),
        ("143", "Ended by SIGTERM."),
    ]


def _subclasses(kind: type[errors.LLEMError]) -> list[type[errors.LLEMError]]:
    found = []
    for child in kind.__subclasses__():
        found += [child, *_subclasses(child)]
    return [child for child in found if child.__module__ == errors.__name__]
