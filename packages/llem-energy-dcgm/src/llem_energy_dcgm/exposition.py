"""What an exporter's text says of each GPU.

Series keep their labels from one answer to the next, so each is parsed once, by Prometheus' own
parser, and only its number is read again: an answer of 1,000 lines costs little then.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from llem_core.meters import throttle_names
from llem_core.units import BYTES_PER_MIB, from_milli

ENERGY = "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"
POWER = "DCGM_FI_DEV_POWER_USAGE"
_REASONS = ("DCGM_FI_DEV_CLOCKS_EVENT_REASONS", "DCGM_FI_DEV_CLOCK_THROTTLE_REASONS")
_FIELDS = frozenset(
    {
        ENERGY,
        POWER,
        "DCGM_FI_DEV_GPU_TEMP",
        "DCGM_FI_DEV_GPU_UTIL",
        "DCGM_FI_DEV_FB_USED",
        "DCGM_FI_DEV_SM_CLOCK",
        "DCGM_FI_DEV_MEM_CLOCK",
        "DCGM_FI_DEV_POWER_MGMT_LIMIT",
        "DCGM_FI_DEV_ENFORCED_POWER_LIMIT",
        *_REASONS,
    }
)
_PREFIX = "DCGM_FI_DEV_"
_BLANK = 2.0**47
"""From here on DCGM's numbers say why there is none (dcgm_structs.h: DCGM_FP64_BLANK; the integers
begin higher). A counter of millijoules comes to it after 4 years at 1 kW; those of integers do not
end there."""
_INTEGER_BLANK = 2.0**63 - 1024


@dataclass(frozen=True, slots=True)
class Values:
    """What was told of one GPU at a time; ``None`` for what was not."""

    energy_j: float | None = None
    power_w: float | None = None
    temperature_c: float | None = None
    utilisation_percent: float | None = None
    memory_bytes: int | None = None
    sm_clock_hz: float | None = None
    memory_clock_hz: float | None = None
    throttle_reasons: tuple[str, ...] | None = None
    limit_w: float | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """One GPU as the labels name it.

    Attributes:
        uuid: its UUID.
        label: its product's name.
        hostname: what the exporter calls its machine.
        instances: numbers of the MIG instances that it is divided into.
        values: the numbers.
    """

    uuid: str
    label: str | None
    hostname: str | None
    instances: tuple[str, ...]
    values: Values


class NotMetricsError(Exception):
    """The text is no Prometheus text of a DCGM exporter."""


class Reader:
    """Reads one answer after the other."""

    def __init__(self) -> None:
        self._series: dict[str, tuple[str, Mapping[str, str]]] = {}

    def cards(self, text: str) -> dict[str, Card]:
        """Each GPU of an answer by its UUID.

        Raises:
            NotMetricsError: the text is no Prometheus text, or tells of no GPU.
        """
        labels: dict[str, Mapping[str, str]] = {}
        numbers: dict[str, dict[str, float]] = {}
        instances: dict[str, set[str]] = {}
        for line in text.splitlines():
            if not line.startswith(_PREFIX):
                continue
            head, end, tail = line.rpartition("}")
            if head.partition("{")[0].rstrip() not in _FIELDS:
                continue
            name, of = self._named(head + end)
            uuid = of.get("UUID") or of.get("uuid")
            if not uuid:
                continue
            labels.setdefault(uuid, of)
            if of.get("GPU_I_ID"):
                instances.setdefault(uuid, set()).add(of["GPU_I_ID"])
            number = _number(name, tail)
            if number is not None:
                numbers.setdefault(uuid, {})[name] = number
        if not labels:
            raise NotMetricsError(_what_it_is(text))
        return {
            uuid: Card(
                uuid,
                of.get("modelName") or None,
                of.get("Hostname") or None,
                tuple(sorted(instances.get(uuid, ()))),
                _values(numbers.get(uuid, {})),
            )
            for uuid, of in labels.items()
        }

    def _named(self, series: str) -> tuple[str, Mapping[str, str]]:
        known = self._series.get(series)
        if known is None:
            from prometheus_client.parser import text_string_to_metric_families

            try:
                ((found,),) = [f.samples for f in text_string_to_metric_families(f"{series} 0\n")]
            except ValueError as error:
                raise NotMetricsError(f"a line is broken: {series[:80]!r}") from error
            known = self._series[series] = (series.partition("{")[0].rstrip(), found.labels)
        return known


def _number(name: str, tail: str) -> float | None:
    words = tail.split()
    try:
        value = float(words[0]) if words else math.nan
    except ValueError as error:
        raise NotMetricsError(f"{name} has {tail.strip()[:40]!r}, which is no number") from error
    blank = _INTEGER_BLANK if name == ENERGY else _BLANK
    return value if math.isfinite(value) and 0 <= value < blank else None


def _values(numbers: Mapping[str, float]) -> Values:
    def of(name: str, factor: float = 1.0) -> float | None:
        value = numbers.get(_PREFIX + name)
        return None if value is None else value * factor

    energy_mj = numbers.get(ENERGY)
    memory = of("FB_USED", BYTES_PER_MIB)
    bits = next((numbers[name] for name in _REASONS if name in numbers), None)
    limits_w = [w for w in (of("POWER_MGMT_LIMIT"), of("ENFORCED_POWER_LIMIT")) if w]
    return Values(
        energy_j=None if energy_mj is None else from_milli(energy_mj),
        power_w=numbers.get(POWER),
        temperature_c=of("GPU_TEMP"),
        utilisation_percent=of("GPU_UTIL"),
        memory_bytes=None if memory is None else int(memory),
        sm_clock_hz=of("SM_CLOCK", 1e6),
        memory_clock_hz=of("MEM_CLOCK", 1e6),
        throttle_reasons=None if bits is None else throttle_names(int(bits)),
        limit_w=max(limits_w, default=None),
    )


def _what_it_is(text: str) -> str:
    if text.lstrip()[:1] == "<":
        return "it gives a web page, not metrics; the path is usually /metrics"
    if not text.strip():
        return "its answer is empty"
    return f"its metrics have no field {_PREFIX}… with a UUID; is it a DCGM exporter?"
