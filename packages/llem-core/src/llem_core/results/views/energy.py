"""The energy block of a result: measured, estimated or not measured, and never in doubt which."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llem_core.results.energy import BaselinePower, DomainEnergy
from llem_core.results.views.block import Block
from llem_core.units import format_duration, format_si

if TYPE_CHECKING:
    from llem_core.results.experiment import ExperimentResult

_METHODS = {"counter": "measured, energy counter", "integrated": "measured, integrated power"}


def energy_block(result: ExperimentResult) -> Block:
    """Energy and power; every figure that is an estimate carries the word."""
    if result.energy_total_j is None:
        return Block("Energy", f"not measured: {energy_reason(result)}")
    block = Block("Energy", _origin(result))
    figure = _Figures(result)
    block.add("of", _scope(result))
    block.add("total", figure.joules(result.energy_total_j))
    for label, value in figure.uncertainty("total"):
        block.add(label, value)
    block.add("per output token", figure.joules(result.energy_per_output_token_j))
    block.add("per request", figure.joules(result.energy_per_request_j))
    block.add("adjusted total", figure.adjusted())
    for label, value in figure.uncertainty("adjusted"):
        block.add(label, value)
    block.add("adjusted per token", figure.joules(result.energy_adjusted_per_output_token_j))
    block.add("mean power", figure.watts(result.mean_power_w))
    block.add("peak power", figure.watts(result.peak_power_w))
    block.add("idle, before loading", figure.idle(result.baseline))
    block.add("idle, model loaded", figure.idle(result.loaded_baseline))
    block.add("cross-check", figure.cross_check())
    for label, value in figure.phases():
        block.add(label, value)
    for label, value in figure.domains():
        block.add(label, value)
    return block


def energy_reason(result: ExperimentResult) -> str:
    """Why energy was not measured, as one sentence."""
    reason = result.missing_reason("energy_total_j") or "no reason is known"
    return " ".join(reason.split()).rstrip(".") + "."


def _origin(result: ExperimentResult) -> str:
    method = _METHODS.get(str(result.energy_method), "ESTIMATED by a model, not measured")
    return f"{method}; source: {result.energy_source}"


def _scope(result: ExperimentResult) -> str:
    """The domains in the total, by the names that people use."""
    labels = {domain.name: domain.label for domain in _domains(result)}
    names = [f"{labels[n]} ({n})" if labels.get(n) else n for n in result.energy_scope]
    return ", ".join(names) or "nothing"


def _domains(result: ExperimentResult) -> list[DomainEnergy]:
    return result.energy_breakdown.domains if result.energy_breakdown else []


class _Figures:
    """Writes energies and powers of one result, with the word where they are estimates."""

    def __init__(self, result: ExperimentResult) -> None:
        self.result = result
        self.word = " (estimated)" if result.energy_method == "estimated" else ""

    def joules(self, energy_j: float | None) -> str | None:
        return None if energy_j is None else format_si(energy_j, "J") + self.word

    def watts(self, power_w: float | None) -> str | None:
        return None if power_w is None else format_si(power_w, "W") + self.word

    def idle(self, baseline: BaselinePower | None) -> str | None:
        text = self.watts(baseline.power_w) if baseline is not None else None
        if baseline is None or text is None:
            return None
        if baseline.standard_uncertainty_w is not None and not self.word:
            text += f" ± {format_si(baseline.standard_uncertainty_w, 'W')} (1 σ)"
        if baseline.cached:
            text += f", measured {format_duration(baseline.age_s)} before by another experiment"
        return text

    def adjusted(self) -> str:
        text = self.joules(self.result.energy_adjusted_j)
        if text is None:
            return f"none: {self.result.missing_reason('energy_adjusted_j')}"
        return f"{text}, less the idle power of the loaded model"

    def uncertainty(self, energy: str) -> list[tuple[str, str]]:
        """Both figures of one energy, each with the term that most of it comes from."""
        budget = self.result.uncertainty
        if budget is None:
            return []
        meanings = {"comparison": "between runs on one device", "absolute": "as absolute joules"}
        rows: list[tuple[str, str]] = []
        for figure in budget.figures:
            if figure.energy != energy:
                continue
            text = f"± {format_si(figure.expanded_j, 'J')} {meanings[figure.scope]}"
            # The terms stand in the order of their shares.
            mostly = f", mostly {next(iter(figure.shares))}" if figure.shares else ""
            text += f" ({budget.coverage:.0%}{mostly})"
            rows.append(("  uncertainty" if not rows else "", text))
        return rows

    def cross_check(self) -> str | None:
        check_j = self.joules(self.result.energy_cross_check_j)
        difference = self.result.energy_cross_check_difference
        if check_j is None or difference is None:
            return None
        methods = {d.cross_check_method for d in _domains(self.result) if d.used}
        how = " and ".join(sorted(str(method) for method in methods if method))
        return f"{check_j}, {difference:+.1%}, {how}"

    def phases(self) -> list[tuple[str, str]]:
        phases = self.result.phase_energy
        if phases is None:
            return []
        rows = []
        for label, energy_j, uncertainty_j in (
            ("prefill", phases.prefill_j, phases.prefill_uncertainty_j),
            ("decode", phases.decode_j, phases.decode_uncertainty_j),
        ):
            text = self.joules(energy_j)
            if text is None:
                rows.append((label, f"not resolved: {phases.reason}"))
            elif uncertainty_j is None:
                rows.append((label, text))
            else:
                rows.append((label, f"{text} ± {format_si(uncertainty_j, 'J')}"))
        return rows

    def domains(self) -> list[tuple[str, str]]:
        """Each domain in the total where there are several, and those left out."""
        domains = _domains(self.result)
        used = [domain for domain in domains if domain.used]
        rows = [_domain(domain) for domain in used] if len(used) > 1 else []
        left_out = [domain.label or domain.name for domain in domains if not domain.used]
        if left_out:
            rows.append(("not in the total", ", ".join(left_out)))
        return rows


def _domain(domain: DomainEnergy) -> tuple[str, str]:
    if domain.energy_j is None:
        return domain.name, f"none: {domain.reason}"
    how = "estimated" if domain.method == "estimated" else f"measured, {domain.method}"
    return domain.name, f"{format_si(domain.energy_j, 'J')} ({how})"
