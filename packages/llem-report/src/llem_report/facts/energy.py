"""Facts on the energy of one run; the word stands wherever a figure is an estimate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from llem_core.results.energy import BaselinePower, DomainEnergy
from llem_core.results.experiment import ExperimentResult
from llem_core.units import format_duration, format_si

from llem_report.facts.parts import Collector, Section, Table

_METHODS = {"counter": "measured, energy counter", "integrated": "measured, integrated power"}
_MEANINGS = {"comparison": "between runs on one card", "absolute": "as absolute joules"}
_GROSS = (
    ("total", "energy_total_j", "J"),
    ("per output token", "energy_per_output_token_j", "J"),
    ("per request", "energy_per_request_j", "J"),
    ("adjusted total", "energy_adjusted_j", "J"),
    ("adjusted per output token", "energy_adjusted_per_output_token_j", "J"),
    ("mean power", "mean_power_w", "W"),
    ("peak power", "peak_power_w", "W"),
)


def energy_sections(result: ExperimentResult) -> Iterator[Section]:
    """Energy, its domains, its uncertainty and its sensor."""
    yield _energy(result)
    if result.uncertainty is not None:
        yield _uncertainty(result)
    if result.sensor:
        yield _sensor(result.sensor)


def how(result: ExperimentResult) -> str:
    """How the energy was come by, in a few words."""
    if result.energy_total_j is None:
        return f"not measured: {result.missing_reason('energy_total_j') or 'no reason is known'}"
    method = _METHODS.get(str(result.energy_method), "ESTIMATED by a model, not measured")
    return f"{method}; source: {result.energy_source}"


def _energy(result: ExperimentResult) -> Section:
    section = Collector("Energy")
    section.add("how", how(result), "energy_method", result.energy_method)
    if result.energy_total_j is None:
        return section.section()
    word = " (estimated)" if result.energy_method == "estimated" else ""
    domains = result.energy_breakdown.domains if result.energy_breakdown else []
    labels = {domain.name: domain.label for domain in domains}
    scope = [f"{labels[n]} ({n})" if labels.get(n) else n for n in result.energy_scope]
    section.add("of", ", ".join(scope) or "nothing")
    for label, name, unit in _GROSS:
        value = getattr(result, name)
        text = f"none: {result.missing_reason(name)}"
        if value is not None:
            text = f"{format_si(value, unit)}{word}"
        section.add(label, text, name, value)
    _idle(section, "idle power, before loading", result.baseline, word, "baseline_power_w")
    _idle(
        section, "idle power, model loaded", result.loaded_baseline, word, "loaded_baseline_power_w"
    )
    check_j, difference = result.energy_cross_check_j, result.energy_cross_check_difference
    if check_j is not None and difference is not None:
        text = f"{format_si(check_j, 'J')}{word}, {difference:+.1%}"
        section.add("cross-check by a second method", text, "energy_cross_check_j", check_j)
    _phases(section, result, word)
    if domains:
        section.tables.append(_domains(domains))
    return section.section()


def _idle(
    section: Collector, label: str, baseline: BaselinePower | None, word: str, name: str
) -> None:
    if baseline is None or baseline.power_w is None:
        return
    text = f"{format_si(baseline.power_w, 'W')}{word}"
    if baseline.standard_uncertainty_w is not None and not word:
        text += f" ± {format_si(baseline.standard_uncertainty_w, 'W')} (1 σ)"
    text += f", over {format_duration(baseline.duration_s)}"
    if baseline.cached:
        text += f", measured {format_duration(baseline.age_s)} before by another experiment"
    section.add(label, text, name, baseline.power_w)


def _phases(section: Collector, result: ExperimentResult, word: str) -> None:
    phases = result.phase_energy
    if phases is None:
        return
    for label, name, uncertainty_j in (
        ("prefill", "prefill_j", phases.prefill_uncertainty_j),
        ("decode", "decode_j", phases.decode_uncertainty_j),
    ):
        value = getattr(phases, name)
        if value is None:
            section.add(label, f"not resolved: {phases.reason}")
            continue
        more = "" if uncertainty_j is None else f" ± {format_si(uncertainty_j, 'J')}"
        section.add(label, f"{format_si(value, 'J')}{word}{more}", name, value)


def _domains(domains: list[DomainEnergy]) -> Table:
    rows = []
    for domain in domains:
        energy = f"none: {domain.reason}"
        if domain.energy_j is not None:
            word = " (estimated)" if domain.method == "estimated" else ""
            energy = f"{format_si(domain.energy_j, 'J')}{word}"
        place = "yes" if domain.used else "no"
        shared = ", ".join(domain.shared_with) or "none seen"
        rows.append((_named(domain), domain.kind, energy, domain.method, place, shared))
    return Table(
        "Domains that the meter saw",
        ("domain", "kind", "energy", "method", "in use", "other processes"),
        tuple(rows),
    )


def _named(domain: DomainEnergy) -> str:
    return f"{domain.label} ({domain.name})" if domain.label else domain.name


def _uncertainty(result: ExperimentResult) -> Section:
    budget, total_j = result.uncertainty, result.energy_total_j
    assert budget is not None
    section = Collector("Uncertainty of the energy")
    for figure in budget.figures:
        whole_j = total_j if figure.energy == "total" else result.energy_adjusted_j
        share = f" ({100 * figure.expanded_j / abs(whole_j):.3g} % of it)" if whole_j else ""
        shares = ", ".join(f"{name} {share:.0%}" for name, share in figure.shares.items() if share)
        section.add(
            f"{'gross' if figure.energy == 'total' else 'adjusted'}, {_MEANINGS[figure.scope]}",
            f"± {format_si(figure.expanded_j, 'J')}{share}; of the variance: {shares or 'nothing'}",
            f"{figure.energy}_{figure.scope}_j",
            figure.expanded_j,
        )
    section.tables.append(
        Table(
            f"Terms, as standard uncertainties (k = 1); the figures above are at k = "
            f"{budget.coverage_factor:g} ({budget.coverage:.0%})",
            ("term", "varies", "in the gross energy", "in the adjusted energy"),
            tuple(
                (
                    term.name,
                    "from run to run" if term.scope == "comparison" else "not on one card",
                    format_si(term.total_j, "J"),
                    "none" if term.adjusted_j is None else format_si(term.adjusted_j, "J"),
                )
                for term in budget.terms
            ),
        )
    )
    return section.section()


def _sensor(facts: Mapping[str, Any]) -> Section:
    section = Collector("Sensor")
    for path, text in flattened(facts):
        section.add(path, text, path)
    return section.section()


def flattened(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Facts that a plugin gave by its own names, one a line."""
    for key, inner in value.items():
        path = f"{prefix}{key}"
        if isinstance(inner, Mapping) and inner:
            yield from flattened(inner, f"{path} · ")
        elif isinstance(inner, list) and any(isinstance(each, Mapping) for each in inner):
            for number, each in enumerate(inner, start=1):
                whole = each if isinstance(each, Mapping) else {"": each}
                yield from flattened(whole, f"{path} {number} · ")
        else:
            shown = f"{inner:.6g}" if isinstance(inner, float) else inner
            text = listed_value(shown)
            yield path, text


def listed_value(value: Any) -> str:
    """A value of a JSON file for people."""
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return str(value)
