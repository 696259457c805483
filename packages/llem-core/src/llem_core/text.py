"""Texts for files and for people: canonical JSON, hashes, times, names, and what can be shown."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

HASH_LENGTH = 16

_ENCODER = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
)


def canonical_json(value: Any) -> bytes:
    """JSON with sorted keys, no white space and no non-ASCII, the same on every platform."""
    return _ENCODER.encode(value).encode("ascii")


def short_hash(value: Any) -> str:
    """First 16 hexadecimal digits of the SHA-256 of ``canonical_json(value)``."""
    return hashlib.sha256(canonical_json(value)).hexdigest()[:HASH_LENGTH]


def short_hash_of(members: Iterable[bytes]) -> str:
    """``short_hash`` of an object, from the canonical JSON of its members, sorted by key.

    Args:
        members: ``"key":value`` of each; an empty one is none.
    """
    joined = b",".join(filter(None, members))
    return hashlib.sha256(b"{%b}" % joined).hexdigest()[:HASH_LENGTH]


def now() -> str:
    """Now, in UTC, ISO 8601, to the second."""
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def now_in_names() -> str:
    """``now()`` in a form that can stand in the name of a file."""
    return now().replace(":", "-")


def slug(text: str, longest: int, other: str = "") -> str:
    """The nearest text that can stand in the name of a folder on every system.

    Args:
        text: what it is about.
        longest: characters at the most.
        other: what stands for a text of which nothing is left.
    """
    return re.sub(r"[^\w.+-]+", "-", text)[:longest].strip(".-+_") or other


def model_name(model: str) -> str:
    """The last part of a model's name or path, without what an address has before its host."""
    return without_password(model).rstrip("/").rsplit("/", maxsplit=1)[-1].removeprefix("shape:")


def nearest(name: object, known: Iterable[str]) -> str | None:
    """The known name that is most like the given one; ``None`` if none is."""
    import difflib  # only for messages

    near = difflib.get_close_matches(str(name)[:200], list(known), n=1)
    return near[0] if near else None


def joined_surrogates(text: str) -> str:
    """The text with each pair of surrogates, as JSON writes it, as the one character it means.

    Raises:
        UnicodeError: a surrogate stands alone.
    """
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16")


def displayable(text: str) -> str:
    """The text without anything that acts on a terminal instead of being seen.

    Control and escape characters, marks that turn the direction of writing, and lone surrogates
    become ``\\x1b``, ``\\u202e``; line ends and tabs stay.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        c if c in _HARMLESS or unicodedata.category(c) not in _ACTING else _escaped(c) for c in text
    )


_HARMLESS = "\n\t\u200c\u200d"
"""The last two join letters and emoji."""
_ACTING = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories: control, format (with bidirectional marks), surrogate, line separators."""


def _escaped(character: str) -> str:
    # As JSON writes it, so that JSON stays JSON.
    return json.dumps(character)[1:-1] if character != "\x7f" else "\\u007f"


# A path has one slash where an address has two.
_PASSWORD = re.compile(r"(:/{1,2})[^/@\s]+(?=@)")
_SECRET = re.compile(r"(?:^|_)(?:token|secrets?|passwords?|passwd|api_?key|credentials?)$")


def without_password(text: str) -> str:
    """The text with ``…`` for user name and password in each address (``https://…@host``)."""
    return _PASSWORD.sub(r"\1…", text) if ":/" in text else text


def is_secret(name: str) -> bool:
    """Whether a key is named like one that holds a secret: ``token``, ``hf_api_key``, …"""
    return _SECRET.search(name.lower().replace("-", "_")) is not None


def without_secrets(value: Any, name: str = "") -> Any:
    """The value with ``…`` in place of what its keys call a secret, and of passwords in addresses.

    Args:
        value: a JSON value.
        name: the key that it stands under.
    """
    if value is not None and is_secret(name):
        return "…"
    if isinstance(value, Mapping):
        return {key: without_secrets(inner, str(key)) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [without_secrets(inner) for inner in value]
    return without_password(value) if isinstance(value, str) else value


def secret_paths(value: Any, path: str = "") -> Iterator[str]:
    """The paths, such as ``a.api_key``, of all that ``without_secrets`` leaves out.

    Args:
        value: a JSON value.
        path: where it stands.
    """
    if path and value is not None and is_secret(path.rpartition(".")[2]):
        yield path
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from secret_paths(inner, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from secret_paths(inner, f"{path}.*")
    elif isinstance(value, str) and without_password(value) != value:
        yield path
