"""Emissions and costs, derived from energies by what the user says of the electricity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llem_core.config.user import ElectricityConfig
from llem_core.units import JOULES_PER_KWH

from llem_report.facts.entries import Entry

PER_TOKENS = 1_000_000


@dataclass(frozen=True, slots=True)
class DerivedRow:
    """What one configuration stands for.

    Attributes:
        name: the configuration.
        energy_kwh: for a million output tokens, at the site (times the PUE).
        co2e_g: g CO2e for a million output tokens.
        cost: price of a million output tokens.
        estimated: whether the energy behind it is an estimate.
    """

    name: str
    energy_kwh: float
    co2e_g: float | None
    cost: float | None
    estimated: bool


@dataclass(frozen=True, slots=True)
class Derived:
    """Emissions and costs of all configurations, with what they were derived from.

    Attributes:
        inputs: sentences that state the inputs and what is not in the figures.
        currency: what the cost is in; empty where it is not named.
        rows: by configuration.
    """

    inputs: tuple[str, ...]
    currency: str
    rows: tuple[DerivedRow, ...]


def derive(entries: Sequence[Entry], electricity: ElectricityConfig | None) -> Derived | None:
    """Emissions and costs of a million output tokens.

    Energy per token × PUE × intensity, or × price: nothing is looked up anywhere.

    Args:
        entries: the configurations; those without energy have no row.
        electricity: the user's; ``None``, or neither intensity nor price in it, derives nothing.
    """
    if electricity is None:
        return None
    intensity, price = electricity.carbon_intensity_g_per_kwh, electricity.price_per_kwh
    with_energy = [(entry, entry.energy) for entry in entries if entry.energy is not None]
    if (intensity is None and price is None) or not with_energy:
        return None
    rows = []
    for entry, energy in with_energy:
        kwh = energy.mean * PER_TOKENS / JOULES_PER_KWH * electricity.pue
        rows.append(
            DerivedRow(
                name=entry.name,
                energy_kwh=kwh,
                co2e_g=None if intensity is None else kwh * intensity,
                cost=None if price is None else kwh * price,
                estimated=entry.estimated,
            )
        )
    return Derived(tuple(_inputs(electricity)), electricity.currency or "", tuple(rows))


def _inputs(electricity: ElectricityConfig) -> list[str]:
    given = []
    if electricity.carbon_intensity_g_per_kwh is not None:
        given.append(f"{electricity.carbon_intensity_g_per_kwh:g} g CO2e per kWh")
    if electricity.price_per_kwh is not None:
        unit = electricity.currency or "units of an unnamed currency"
        given.append(f"a price of {electricity.price_per_kwh:g} {unit} per kWh")
    return [
        f"Derived, not measured: mean gross energy per output token × PUE × intensity or price, "
        f"with {' and '.join(given)} and a PUE of {electricity.pue:g}, from `electricity` in the "
        "configuration of the user who made this report.",
        "The energy is that of the devices that were measured; the rest of the machine, its making "
        "and its idle time are in none of these figures.",
    ]
