"""Says what tells one combination from the others."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from llem_core.config.experiment import ExperimentConfig
from llem_core.text import without_secrets

_LONGEST_VALUE = 40
_MOST_NAMED = 3


class Labels:
    """Labels such as ``pytorch.batch_size=8, precision=fp16``; what never varies is left out.

    Args:
        points: what each combination sets, path to value.
    """

    def __init__(self, points: Sequence[Mapping[str, Any]]) -> None:
        self._varying: dict[str, None] = {}
        first: dict[str, Any] = {}
        times: dict[str, int] = {}
        for point in points:
            for path, value in point.items():
                times[path] = times.get(path, 0) + 1
                if path not in first:
                    first[path] = value
                elif path not in self._varying and first[path] != value:
                    self._varying[path] = None
        for path, n in times.items():
            if n < len(points):
                self._varying[path] = None

    def of(self, point: Mapping[str, Any]) -> str:
        """The label of one combination."""
        return ", ".join(
            f"{path}={_value(path, value)}"
            for path, value in point.items()
            if path in self._varying
        )

    def unique(
        self, points: Mapping[str, Mapping[str, Any]], configs: Mapping[str, ExperimentConfig]
    ) -> dict[str, str]:
        """A label for each configuration, no two alike.

        Args:
            points: configuration hash to what it sets.
            configs: configuration hash to the configuration.
        """
        labels: dict[str, str] = {}
        taken: set[str] = set()
        for name, point in points.items():
            alone = configs[name].model if len(points) == 1 else "shared fields"
            label = self.of(point) or alone
            if label in taken:
                label = f"{label} ({name})"
            taken.add(label)
            labels[name] = label
        return labels

    def merged(self, points: Sequence[Mapping[str, Any]]) -> str:
        """A sentence on combinations that are the same experiment."""
        names = list(dict.fromkeys(self.of(point) or "the shared fields" for point in points))
        shown = "; ".join(names[:_MOST_NAMED])
        more = f"; and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        return f"{len(points)} combinations are the same experiment: {shown}{more}"


def _value(path: str, value: Any) -> str:
    value = without_secrets(value, path.rpartition(".")[2])
    if type(value) is int:
        return str(value)
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"
