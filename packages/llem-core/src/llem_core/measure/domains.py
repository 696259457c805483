"""Which domains of a reading belong to the experiment."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from typing import Literal

from llem_core.contracts.readings import DomainReading


def is_used(
    domain: DomainReading,
    domains: Sequence[DomainReading],
    uuids: Collection[str],
    device_kind: str,
) -> bool:
    """Whether a domain is in the experiment's total.

    A GPU is, if the model computes on it; where the backend could not name its GPUs, a GPU
    that is the only one is. Host domains and other meters always are: what they power cannot
    be told apart.
    """
    if domain.kind != "gpu":
        return True
    if device_kind != "gpu":
        return False
    if uuids:
        return domain.name in uuids
    return sum(other.kind == "gpu" for other in domains) == 1


def standard_uncertainty(
    domains: Iterable[DomainReading], scope: Literal["comparison", "absolute"]
) -> float:
    """Root of the sum of squares of the components of one scope, in joules (k = 1)."""
    return math.sqrt(
        math.fsum(
            component.standard_j**2
            for domain in domains
            for component in domain.uncertainty
            if component.scope == scope
        )
    )
