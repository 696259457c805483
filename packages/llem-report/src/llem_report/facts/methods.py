"""The methods paragraph, filled in, and how to cite the tool."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import metadata

from llem_core.results.study import MeasurementProtocol
from llem_core.results.views.study import UNKNOWN_ORDER
from llem_core.units import format_duration

from llem_report.facts.parts import listed
from llem_report.sources.material import Source
from llem_report.sources.run import Run, Settings

_KINDS = {"gpu": "GPU boards", "cpu": "CPU packages", "dram": "memory", "other": "other meters"}
_SAMPLERS = {"nvml": "NVML", "zeus": "Zeus", "codecarbon": "CodeCarbon", "dcgm": "DCGM"}


def methods(source: Source) -> str:
    """What a paper has to state of one study, or of experiments, as a paragraph.

    It follows the one in docs/methodology.md; what does not apply is left out.
    """
    if not source.runs:
        return ""
    settings = [
        source.settings[run.config_hash]
        for run in source.runs
        if run.config_hash in source.settings
    ]
    parts = [
        *_protocol(source),
        *_before(settings),
        *_workload(source.runs, settings),
        *_energy(source.runs),
        *_statistics(source),
    ]
    return " ".join(parts)


def _protocol(source: Source) -> Iterator[str]:
    runs = source.runs
    yield f"Measured with LLenergyMeasure {listed(run.tool_version for run in runs)}."
    devices = listed(", ".join(run.devices) or "an unknown device" for run in runs)
    models = listed(run.model for run in runs)
    backends = listed(run.backend for run in runs)
    alone = "Each configuration ran in a fresh process" if source.kind == "study" else "It ran"
    yield f"{alone} on {devices}; the model was {models}, run by the backend {backends}."
    protocol = source.protocol
    if protocol is not None:
        order = ""
        if protocol.n_cycles > 1:
            known = protocol.cycle_order != UNKNOWN_ORDER
            order = f" in {protocol.cycle_order if known else 'an unknown'} order"
        rests = _pauses(protocol)
        cycles = f"{protocol.n_cycles} cycles were" if protocol.n_cycles > 1 else "One cycle was"
        node = ", each cycle whole on one node" if protocol.block else ""
        yield f"{cycles} run{order}{rests}{node}."


def _pauses(protocol: MeasurementProtocol) -> str:
    """The pauses between runs, to follow what was run."""
    lengths = (protocol.config_gap_seconds, protocol.cycle_gap_seconds)
    if lengths == (None, None):
        return " with pauses of unknown length"
    told = [
        f"{'an unknown length' if seconds is None else format_duration(seconds)} between {what}"
        for seconds, what in zip(lengths, ("experiments", "cycles"), strict=True)
        if seconds is None or seconds > 0
    ]
    return f" with pauses of {' and '.join(told)}" if told else " without pauses"


def _before(settings: Sequence[Settings]) -> Iterator[str]:
    told = [text for text in (_one(settings, _warm_up), _one(settings, _baseline)) if text]
    if told:
        yield f"Each run was preceded by {', and by '.join(told)}."


def _warm_up(settings: Settings) -> str:
    if settings.get("warmup.enabled") != "true":
        return ""
    if settings.get("warmup.convergence_detection") == "true":
        window, limit = settings.get("warmup.window_size"), settings.get("warmup.cv_threshold")
        return (
            "a warm-up until the coefficient of variation of the latency per token over "
            f"{window} batches was at most {limit}, or a limit was reached"
        )
    return f"a warm-up of {settings.get('warmup.n_warmup')} batches"


def _baseline(settings: Settings) -> str:
    if settings.get("baseline.enabled") != "true":
        return ""
    seconds = settings.get("baseline.duration_seconds")
    return f"a baseline of {seconds} s with the model loaded and the device idle"


def _one(settings: Sequence[Settings], tell: Callable[[Settings], str]) -> str:
    """What holds for all configurations; ``or`` between those that differ."""
    return " or ".join(filter(None, dict.fromkeys(map(tell, settings))))


_LOADS = {
    "closed": ("a closed load", (("load.concurrency", "requests in flight"),)),
    "open": ("an open load", (("load.request_rate", "requests/s"), ("load.arrival", "arrivals"))),
    "trace": ("a trace", (("load.time_scale", "times as fast as recorded"),)),
}


def _workload(runs: Sequence[Run], settings: Sequence[Settings]) -> Iterator[str]:
    modes = {run.load_mode for run in runs}
    told = []
    for mode, (name, fields) in _LOADS.items():
        if mode in modes:
            mine = [each for each in settings if each.get("load.mode") == mode]
            values = [
                f"{listed(s.get(path, 'null') for s in mine)} {what}" for path, what in fields
            ]
            told.append(f"{name} ({', '.join(values)})")
    if told:
        lengths = {s["load.window_seconds"] for s in settings if s.get("load.mode") in modes}
        windows = " or ".join(f"{length} s" for length in sorted(lengths)) or "a stated length"
        yield (
            f"Requests were sent by {' and '.join(told)} before, through and after a window of "
            f"{windows}; tokens count by the moment at which they arrived, latencies from when a "
            "request was due."
        )


def _energy(runs: Sequence[Run]) -> Iterator[str]:
    known = [run for run in runs if run.figures.energy_total_j is not None]
    if not known:
        yield "Energy was not measured."
        return
    for method in ("counter", "integrated", "estimated"):
        mine = [run for run in known if run.figures.energy_method == method]
        if mine:
            names = listed(_sampler(run.figures.energy_source) for run in mine)
            covers = listed(_KINDS.get(kind, kind) for run in mine for kind in run.scope)
            yield f"{_come_by(method, names)}; it covers {covers} and no other part of the machine."
    yield "Adjusted energy is gross energy less the loaded-idle power times the window's length."


def _come_by(method: str, names: str) -> str:
    if method == "counter":
        aligned = ", with edges aligned to the counters' updates" if "NVML" in names else ""
        return (
            "Gross energy is the difference of the devices' energy counters over the measured "
            f"window, read through {names}{aligned}"
        )
    if method == "integrated":
        return (
            "Gross energy is the devices' power over the measured window, sampled through "
            f"{names} and integrated"
        )
    return f"Energy was not measured: it is estimated by a model of the hardware ({names})"


def _sampler(name: str | None) -> str:
    return _SAMPLERS.get(str(name), str(name))


def _statistics(source: Source) -> Iterator[str]:
    if any(one.n_completed > 1 for one in source.configurations):
        blocks = (
            ", with the noise within cycles" if source.protocol and source.protocol.block else ""
        )
        yield f"We report the mean over cycles with its 95 % t-interval{blocks}."
    comparison = [run.comparison_share for run in source.runs if run.comparison_share is not None]
    absolute = [run.absolute_share for run in source.runs if run.absolute_share is not None]
    if comparison and absolute:
        yield (
            "The expanded uncertainty (95 %) of a single run is at most "
            f"{100 * max(comparison):.2f} % for comparisons on one card, and "
            f"{100 * max(absolute):.2f} % for absolute joules, the latter including the cards' "
            "unknown gain."
        )
    if source.design_hash:
        yield f"Study design {source.design_hash}."


def bibtex(versions: Iterable[str]) -> str:
    """A BibTeX entry of the tool, from what its distribution says of itself.

    Args:
        versions: those that measured the results.
    """
    facts = metadata.metadata("llem-core")
    known = listed(versions) or metadata.version("llem-core")
    fields = {
        "title": "LLenergyMeasure",
        "author": f"{{{_plain(facts['Author'] or 'The LLenergyMeasure developers')}}}",
        "version": _plain(known),
        "license": _plain(facts["License-Expression"] or ""),
    }
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
    return "\n".join(["@software{llenergymeasure,", *lines, "}"])


def _plain(text: str) -> str:
    """The text with nothing in it that TeX would act on."""
    return "".join(f"\\{c}" if c in "%&$#_" else "" if c in "\\{}~^" else c for c in text)
