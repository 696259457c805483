"""What a reader has to know before looking at any figure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from llem_core.results.migrate import SCHEMA_VERSION

from llem_report.facts.parts import listed
from llem_report.sources.material import Material
from llem_report.sources.run import Run

_MOST_NAMED = 4


def said_first(material: Material) -> list[str]:
    """Sentences on the state of the files, and on what must not be compared."""
    runs = list(material.runs)
    sentences = [*material.remarks]
    for source in material.sources:
        sentences += source.remarks
    if not runs:
        return [*sentences, "No run has a result, so there is no figure to show."]
    sentences += _alike(runs)
    sentences += _energy(runs)
    sentences += _doubts(runs)
    return sentences


def _alike(runs: Sequence[Run]) -> Iterator[str]:
    """What differs between runs beside what a sweep sets."""
    for what, values in (
        ("devices", {", ".join(run.devices) or "unknown" for run in runs}),
        ("models", {run.model for run in runs}),
        ("kinds of load", {run.load_mode for run in runs}),
    ):
        if len(values) > 1:
            yield (
                f"The runs are of different {what} ({_some(values)}): a difference between two of "
                "them is not one of their other settings alone."
            )
    cards = {listed(run.device_ids) for run in runs}
    if len(cards) > 1 and len({run.devices for run in runs}) == 1:
        yield (
            f"The runs were on {len(cards)} different cards of one kind: their gains differ, so "
            "the uncertainty as absolute joules holds between them, not the one between runs."
        )
    if len({run.dataset_sha256 for run in runs}) > 1:
        yield (
            "The runs did not have the same prompts: they are different workloads, and only "
            "figures per token or per request can be put side by side."
        )


def _energy(runs: Sequence[Run]) -> Iterator[str]:
    with_energy = [run for run in runs if run.figures.energy_total_j is not None]
    estimated = [run for run in with_energy if run.estimated]
    if not with_energy:
        reasons = _some({_sentence(run.energy_reason) for run in runs}, "; ")
        yield f"No energy was measured: {reasons}."
        return
    if len(with_energy) < len(runs):
        yield f"{len(runs) - len(with_energy)} of {len(runs)} runs have no energy."
    if len(estimated) == len(with_energy):
        yield (
            "All energies and powers are estimated by a model of the hardware, not measured: they "
            "are no ground for a comparison."
        )
    elif estimated:
        yield (
            f"{len(estimated)} of {len(with_energy)} energies are estimated by a model of the "
            "hardware and the others are measured: the two kinds cannot be compared."
        )
    scopes = {" and ".join(run.scope) for run in with_energy}
    if len(scopes) > 1:
        yield (
            f"The energies cover different parts of the machine ({_some(scopes, '; ')}): they "
            "cannot be compared."
        )
    sources = {str(run.figures.energy_source) for run in with_energy}
    if len(sources) > 1 and not estimated:
        yield (
            f"The energies come from different samplers ({_some(sources)}): part of a difference "
            "may be theirs."
        )


def _doubts(runs: Sequence[Run]) -> Iterator[str]:
    random = sum(run.random_weights for run in runs)
    if random:
        which = "All runs" if random == len(runs) else f"{random} of {len(runs)} runs"
        yield (
            f"{which} had models with random weights: speed and memory are those of the shape, "
            "power may differ, and outputs mean nothing."
        )
    throttled = [run for run in runs if run.throttled]
    if throttled:
        reasons = _some({reason for run in throttled for reason in run.throttled})
        yield f"In {len(throttled)} of {len(runs)} runs clocks were lowered ({reasons})."
    failed = sum(run.n_failed_requests for run in runs)
    if failed:
        yield f"{failed:,} requests failed; their tokens and times are in no figure."
    older = [run for run in runs if run.schema_version < SCHEMA_VERSION]
    if older:
        yield (
            f"{len(older)} of {len(runs)} results were written by an older version of llem (schema "
            f"{min(run.schema_version for run in older)}, now {SCHEMA_VERSION}): what they did not "
            "tell is missing, with that reason."
        )


def _some(values: Iterable[str], between: str = ", ") -> str:
    ordered = sorted(values)
    more = f"{between}and {len(ordered) - _MOST_NAMED} more" if len(ordered) > _MOST_NAMED else ""
    return between.join(ordered[:_MOST_NAMED]) + more


def _sentence(reason: str | None) -> str:
    return " ".join((reason or "no reason is known").split()).rstrip(".")
