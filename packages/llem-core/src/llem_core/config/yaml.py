"""Reads YAML from people: plain data only, bounded in size, mistakes with line and column."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from llem_core.errors import ConfigError

MOST_BYTES = 1024**2
MOST_VALUES = 1_000_000


class _Loader(yaml.SafeLoader):
    """Plain data only; a key that stands twice in one mapping is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        self.flatten_mapping(node)
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(
                    None, None, "a key must be a plain word", key_node.start_mark
                )
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands here twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file whose root is a mapping.

    Raises:
        ConfigError: it does not exist, is too large, does not parse (with line and column),
            asks for objects, or is no mapping.
    """
    text = _read_text(path)
    try:
        content = yaml.load(text, Loader=_Loader)  # noqa: S506 - a subclass of SafeLoader
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}{_place(error)}: {_problem(error)}.") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: it is nested too deeply; flatten it.") from error
    if content is None:
        raise ConfigError(f"{path}: the file is empty; an experiment needs at least `model: …`.")
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise ConfigError(
            f"{path}: the file is not a mapping of names to values but a "
            f"{type(content).__name__}; write `key: value` lines, such as `model: …`."
        )
    _check_size(content, path)
    return content


def parse_value(text: str, where: str) -> Any:
    """Read one value, such as that of ``--set path=value``.

    Raises:
        ConfigError: it is not YAML; ``where`` names its origin.
    """
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a subclass of SafeLoader
    except yaml.YAMLError as error:
        raise ConfigError(f"{where}: the value {text!r} is not YAML: {_problem(error)}.") from error


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: there is no such file; check the path.") from error
    except IsADirectoryError as error:
        raise ConfigError(f"{path}: this is a folder; give a YAML file in it.") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}.") from error
    if len(content) > MOST_BYTES:
        raise ConfigError(
            f"{path}: the file is larger than {MOST_BYTES // 1024} KiB, which no configuration "
            "needs; is it the right file?"
        )
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8 text."
        ) from error


def _check_size(content: Any, path: Path) -> None:
    # Aliases let a small file stand for a huge or endless structure; count it spelled out.
    left = MOST_VALUES
    stack = [content]
    while stack:
        value = stack.pop()
        left -= 1
        if left < 0:
            raise ConfigError(
                f"{path}: its aliases stand for more than {MOST_VALUES:,} values; "
                "write out what you mean."
            )
        if isinstance(value, dict):
            stack.extend(value.values())
        elif isinstance(value, list):
            stack.extend(value)


def _place(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""


def _problem(error: yaml.YAMLError) -> str:
    problem = getattr(error, "problem", None) or str(error)
    if "could not determine a constructor" in problem:
        return f"{problem}; only plain values are allowed, remove the tag"
    return " ".join(str(problem).split())
