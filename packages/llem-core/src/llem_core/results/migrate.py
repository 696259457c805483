"""Versions of the result files: what each changed, and how an older one is brought up to date.

A file of an older version becomes one of the newest when it is loaded; what it does not tell is
null, with that reason. A file of a newer version is refused: its figures may mean something else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

SCHEMA_VERSION = 2
SCHEMA_HISTORY = {
    1: "first version",
    2: "latencies are each request's own, where they were its batch's; `queue_time`, "
    "`time_per_output_token` and `n_failed_requests` are new; a baseline's `standard_error_w` is "
    "now `standard_uncertainty_w`; a process has `facts` of its backend, and its warm-up says what "
    "it ran (`prompts`, `input_tokens`, `measured_input_tokens`) and what ended it (`ended_by`); "
    "`flops` counts the output projection, and attention by layer and window, and says what is in "
    "it (`parts`, `left_out`); a term of the uncertainty says how it grows (`growth`)",
}
"""``result.json``: version to what it changed."""

STUDY_SCHEMA_VERSION = 2
STUDY_SCHEMA_HISTORY = {
    1: "first version",
    2: "`tied_with_better` is now `indistinguishable_from_previous`; `block`, "
    "`difference_from_previous` and `nodes` are new: null and empty without blocks; a "
    "configuration has statistics of what it served (`load`), null for batches",
}
"""``study_result.json``: version to what it changed."""

_Step = Callable[[dict[str, Any]], dict[str, Any]]
_UNTOLD = "schema version 1 did not tell it"


def migrate_experiment(data: Any) -> Any:
    """The content of a ``result.json`` of any version, as one of ``SCHEMA_VERSION``.

    Raises:
        ValueError: it is of a newer version, or of none that there ever was; the message says so.
    """
    return _migrate(data, SCHEMA_VERSION, _EXPERIMENT_STEPS)


def migrate_study(data: Any) -> Any:
    """The content of a ``study_result.json`` of any version, as one of ``STUDY_SCHEMA_VERSION``.

    Raises:
        ValueError: as for ``migrate_experiment``.
    """
    return _migrate(data, STUDY_SCHEMA_VERSION, _STUDY_STEPS)


def _migrate(data: Any, newest: int, steps: Mapping[int, _Step]) -> Any:
    """Apply ``steps``, each of which leads from its version to the next; validation sees the rest.

    Data without a version are new ones, made in Python.
    """
    if not isinstance(data, dict) or "schema_version" not in data:
        return data
    version = data["schema_version"]
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise ValueError(f"schema_version {version!r} is none that llem-core has written")
    if version > newest:
        raise ValueError(
            f"schema_version {version} is newer than this llem-core reads ({newest}); "
            "install a newer one"
        )
    for older in range(version, newest):
        try:
            data = {**steps[older](data), "schema_version": older + 1}
        except (AttributeError, TypeError, ValueError) as error:
            raise ValueError(f"it is no whole file of schema_version {older} ({error})") from error
    return data


def _experiment_1_to_2(data: dict[str, Any]) -> dict[str, Any]:
    new = {"n_failed_requests": 0, "queue_time": None, "time_per_output_token": None, **data}
    unavailable = dict(new.get("unavailable") or {})
    unavailable |= dict.fromkeys(("queue_time", "time_per_output_token"), _UNTOLD)
    if not _one_request_a_batch(new):
        new["end_to_end_latency"] = None
        unavailable["end_to_end_latency"] = (
            "schema version 1 gave the time of a request's batch, which is not its own"
        )
    for name in ("baseline", "loaded_baseline"):
        new[name] = _renamed(new.get(name), "standard_error_w", "standard_uncertainty_w")
    new["flops"] = _flops_1_to_2(new.get("flops"))
    new["uncertainty"] = _uncertainty_1_to_2(new.get("uncertainty"))
    new["processes"] = [_process_1_to_2(process) for process in new.get("processes") or []]
    return {**new, "unavailable": unavailable}


def _flops_1_to_2(flops: Any) -> Any:
    """Version 1 called high what lacked the projection to the vocabulary."""
    if not isinstance(flops, dict) or flops.get("total_flops") is None:
        return flops
    left_out = [
        "the output projection",
        "attention by layer and window: all layers, over the whole context, are in it",
    ]
    return {**flops, "left_out": left_out, "confidence": "low"}


_GROWTH_1 = {"sampling": "root", "clock": "linear", "gain": "linear", "baseline": "linear"}


def _uncertainty_1_to_2(uncertainty: Any) -> Any:
    """Version 1 knew by a term's name how it grows."""
    if not isinstance(uncertainty, dict):
        return uncertainty
    terms = [
        {"growth": _GROWTH_1.get(str(term.get("name")), "constant"), **term}
        if isinstance(term, dict)
        else term
        for term in uncertainty.get("terms") or []
    ]
    return {**uncertainty, "terms": terms}


def _process_1_to_2(process: Any) -> Any:
    if not isinstance(process, dict):
        return process
    warmup = process.get("warmup")
    if isinstance(warmup, dict):
        ends = {True: "converged", False: "max_prompts", None: "n_warmup"}
        warmup = {
            "ended_by": ends.get(warmup.get("converged")),
            "prompts": "the largest of the measured batches, as schema version 1 had it",
            "input_tokens": None,
            "measured_input_tokens": None,
            **warmup,
        }
    return {"facts": {}, **process, "warmup": warmup}


def _one_request_a_batch(data: dict[str, Any]) -> bool:
    """Whether each request's batch was its own, so that the time of the one is the other's."""
    processes = data.get("processes") or []
    return all(process.get("n_batches") == process.get("n_requests") for process in processes)


def _study_1_to_2(data: dict[str, Any]) -> dict[str, Any]:
    configurations = [
        _renamed(each, "tied_with_better", "indistinguishable_from_previous")
        for each in data.get("configurations") or []
    ]
    return {**data, "configurations": configurations}


def _renamed(part: Any, old: str, new: str) -> Any:
    if not isinstance(part, dict):
        return part
    return {new if name == old else name: value for name, value in part.items()}


_EXPERIMENT_STEPS: dict[int, _Step] = {1: _experiment_1_to_2}
_STUDY_STEPS: dict[int, _Step] = {1: _study_1_to_2}
