"""Reads YAML from people: plain data only, bounded in size, mistakes with their line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import yaml

from llem_core.errors import ConfigError
from llem_core.text import joined_surrogates

MOST_BYTES = 1024**2
MOST_VALUES = 1_000_000
DEEPEST = 100

Location = tuple[str | int, ...]
"""The keys and list positions that lead to a value."""


@dataclass(frozen=True, slots=True)
class Document:
    """What has been read of one file, or stands for one.

    Attributes:
        source: its name in messages: the path.
        content: its keys and values.
        root: its syntax tree, which knows the lines; ``None`` where there was no file.
    """

    source: str
    content: Mapping[str, Any]
    root: yaml.Node | None = field(default=None, repr=False)

    def depth(self, location: Location) -> int:
        """How many parts of the location the file has, from its first on."""
        return len(_walk(self.root, location)[1])

    def line(self, location: Location) -> int | None:
        """The line of a value, from 1; where it is missing, of the mapping that lacks it."""
        node, found = _walk(self.root, location)
        if node is None:
            return None
        return (found[-1] if found else node).start_mark.line + 1

    def place(self, location: Location = ()) -> str:
        """Name and line for a message, such as ``study.yaml:12``."""
        line = self.line(location)
        return self.source if line is None else f"{self.source}:{line}"


def read_yaml(path: Path) -> Document:
    """Read a YAML file whose root is a mapping; the file is opened once.

    Raises:
        ConfigError: it does not exist, is too large, does not parse (with line and column),
            asks for objects, or is no mapping.
    """
    root, content = _parse(_read_text(path), str(path))
    if content is None:
        raise ConfigError(f"{path}: the file is empty; an experiment needs at least `model: …`.")
    if not isinstance(content, dict):
        raise ConfigError(
            f"{path}:1: the file is not a mapping of names to values but a "
            f"{type(content).__name__}; write `key: value` lines, such as `model: …`."
        )
    return Document(str(path), content, root)


def parse_value(text: str, where: str) -> Any:
    """Read one value, such as that of ``--set path=value``.

    Raises:
        ConfigError: it is not YAML; ``where`` names its origin.
    """
    return _parse(text, where)[1]


class _Loader(yaml.SafeLoader):
    """Plain data only; keys that stand twice, and structures without bounds, are errors."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._open = 0
        # Depth and size with all aliases written out; a node is entered when it is complete.
        self._measures: dict[yaml.Node, tuple[int, int]] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self._open >= DEEPEST:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            _fail(mark, "it is nested too deeply; flatten it")
        self._open += 1
        try:
            alias = self.check_event(yaml.AliasEvent)
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            node = super().compose_node(parent, index)
        finally:
            self._open -= 1
        if node is None:
            return None
        if not alias:
            self._measures[node] = self._measure(node)
        elif node not in self._measures:
            _fail(mark, "this alias stands inside of what it stands for")
        return node

    def _measure(self, node: yaml.Node) -> tuple[int, int]:
        if isinstance(node, yaml.MappingNode):
            _refuse_repeated_keys(node)
            parts = [part for pair in node.value for part in pair]
        else:
            parts = list(node.value) if isinstance(node, yaml.SequenceNode) else []
        measures = [self._measures[part] for part in parts]
        depth = 1 + max((depth for depth, _ in measures), default=0)
        size = 1 + sum(size for _, size in measures)
        if depth > DEEPEST:
            _fail(node.start_mark, "with its aliases, it is nested too deeply; flatten it")
        if size > MOST_VALUES:
            _fail(
                node.start_mark,
                f"its aliases stand for more than {MOST_VALUES:,} values; write out what you mean",
            )
        return depth, size

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Merge in what ``<<`` names: a mapping's own keys win, then those of an earlier one.

        PyYAML's own loses a key that an intermediate mapping has written over.
        """
        own = [pair for pair in node.value if pair[0].tag != _MERGE]
        seen = {(key.tag, key.value) for key, _ in own}
        inherited = []
        merged = [value for key, value in node.value if key.tag == _MERGE]
        for source in (source for value in merged for source in _each(value)):
            self.flatten_mapping(source)
            for pair in source.value:
                name = (pair[0].tag, pair[0].value)
                if name not in seen:
                    seen.add(name)
                    inherited.append(pair)
        node.value = inherited + own

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            value = super().construct_object(node, deep)
        except yaml.YAMLError:
            raise
        # What the constructors of dates, numbers and binary data raise is for them to choose.
        except (ValueError, TypeError, OverflowError, KeyError, AttributeError) as error:
            _fail(node.start_mark, f"{_shown(node.value)} cannot be read: {error}", error)
        if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 256:
            _fail(node.start_mark, f"the number {_shown(node.value)} is too long")
        if not isinstance(value, str):
            return value
        try:
            return joined_surrogates(value)
        except UnicodeError as error:
            _fail(node.start_mark, "a text has one half of a surrogate pair alone", error)


_MERGE = "tag:yaml.org,2002:merge"


def _each(merged: yaml.Node) -> list[yaml.MappingNode]:
    """The mappings that one ``<<`` names."""
    nodes = merged.value if isinstance(merged, yaml.SequenceNode) else [merged]
    for node in nodes:
        if not isinstance(node, yaml.MappingNode):
            _fail(node.start_mark, "`<<` takes a mapping, or a list of mappings")
    return list(nodes)


def _parse(text: str, where: str) -> tuple[yaml.Node | None, Any]:
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        if isinstance(root, yaml.MappingNode):
            _refuse_other_keys(root)
        return root, None if root is None else loader.construct_document(root)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(
            f"{where}:{line}: the character U+{int(error.character):04X} cannot stand in YAML; "
            "remove it."
        ) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise ConfigError(f"{where}{place}: {_problem(error)}.") from error


def _refuse_repeated_keys(node: yaml.MappingNode) -> None:
    """Only keys that stand there themselves: what ``<<`` merges in may be written over."""
    seen: set[tuple[str, str]] = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            _fail(key.start_mark, "a key must be a plain word")
        if (key.tag, key.value) in seen:
            _fail(key.start_mark, f"the key {_shown(key.value)} stands here twice")
        seen.add((key.tag, key.value))
        if key.tag == "tag:yaml.org,2002:bool":
            _refuse_key(key)


def _refuse_other_keys(root: yaml.MappingNode) -> None:
    for key, _ in root.value:
        if key.tag in {"tag:yaml.org,2002:str", _MERGE}:
            continue
        _refuse_key(key)


def _refuse_key(key: yaml.Node) -> NoReturn:
    kinds = {"bool": "a truth value", "int": "a number", "float": "a number"}
    kind = kinds.get(key.tag.rpartition(":")[2], "no name")
    _fail(
        key.start_mark,
        f"the key {_shown(key.value)} is {kind} to YAML, and keys are names; correct it, or "
        f'write it in quotes: "{key.value[:40]}"',
    )


def _walk(root: yaml.Node | None, location: Location) -> tuple[yaml.Node | None, list[yaml.Node]]:
    """The last node that a location leads to, and for each part of it the node to point at."""
    node, found = root, []
    for part in location:
        if isinstance(node, yaml.MappingNode):
            # Where `<<` has merged in, the mapping's own pairs stand last.
            pairs = [pair for pair in node.value if pair[0].value == str(part)]
            if not pairs:
                break
            key, node = pairs[-1]
            found.append(key)
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            if not 0 <= part < len(node.value):
                break
            node = node.value[part]
            found.append(node)
        else:
            break
    return node, found


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
    except ValueError as error:  # a NUL in the path
        raise ConfigError(f"{path}: this is no path: {error}.") from error
    if len(content) > MOST_BYTES:
        raise ConfigError(
            f"{path}: the file is larger than {MOST_BYTES // 1024} KiB, which no configuration "
            "needs; is it the right file?"
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{path}:{line}: byte {error.start} is not UTF-8; save the file as UTF-8 text."
        ) from error


def _fail(mark: Any, problem: str, cause: BaseException | None = None) -> NoReturn:
    raise yaml.constructor.ConstructorError(None, None, problem, mark) from cause


def _problem(error: yaml.MarkedYAMLError) -> str:
    problem = " ".join(str(error.problem or error.context or error).split())
    if "could not determine a constructor" in problem:
        return f"{problem}; only plain values are allowed, remove the tag"
    return problem


def _shown(value: str | Sequence[Any]) -> str:
    text = value if isinstance(value, str) else "this"
    return repr(text if len(text) <= 40 else f"{text[:39]}…")
