"""Names for configurations: the same experiment always has the same hash."""

from __future__ import annotations

import hashlib
import json
from typing import Any

HASH_LENGTH = 16


def canonical_json(value: Any) -> bytes:
    """JSON with sorted keys, no white space and no non-ASCII, the same on every platform."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    ).encode("ascii")


def short_hash(value: Any) -> str:
    """First 16 hexadecimal digits of the SHA-256 of ``canonical_json(value)``."""
    return hashlib.sha256(canonical_json(value)).hexdigest()[:HASH_LENGTH]
