"""Texts that stand in files: canonical JSON and hashes of it, and the time of day."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterable
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
