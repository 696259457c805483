"""Statistics of each configuration over its cycles, and their ranking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from llem_core.results.study import (
    ConfigurationSummary,
    CycleStatistics,
    LoadStatistics,
    NodeEffect,
)
from llem_core.study.summary.blocks import (
    Block,
    Fit,
    compare,
    fit,
    node_effects,
    with_block_interval,
)
from llem_core.study.summary.figures import SERVED, Figures
from llem_core.study.summary.statistics import differ, summarise


@dataclass(slots=True)
class GatheredConfiguration:
    """The figures of one configuration, gathered run by run."""

    label: str
    figures: list[Figures] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    n_failed: int = 0

    def over_cycles(self, quantity: str) -> CycleStatistics | None:
        """One quantity over the cycles that have it."""
        values = [getattr(one, quantity) for one in self.figures]
        return summarise([value for value in values if value is not None])


def summarise_configurations(
    gathered: Mapping[str, GatheredConfiguration], *, blocked: bool
) -> tuple[list[ConfigurationSummary], list[NodeEffect]]:
    """All configurations, ranked, and what each node does to their energy per output token.

    Args:
        gathered: by configuration hash, in the order of the file.
        blocked: whether each cycle was kept on one node; without it nodes have no effects.
    """
    models = {quantity: _model(gathered, quantity) if blocked else None for quantity in _QUANTITIES}
    energies = models["energy_per_output_token_j"]
    summaries = [_summary(name, one, models) for name, one in gathered.items()]
    return _ranked(summaries, energies), [] if energies is None else node_effects(energies)


_QUANTITIES = ("energy_per_output_token_j", "energy_adjusted_j", "output_tokens_per_second")


def _model(gathered: Mapping[str, GatheredConfiguration], quantity: str) -> Fit | None:
    """The model of one quantity over all blocks; ``None`` where it has nothing to say."""
    figures = {
        (name, block): value
        for name, one in gathered.items()
        for block, figure in zip(one.blocks, one.figures, strict=True)
        if (value := getattr(figure, quantity)) is not None
    }
    # One configuration alone is compared with none: its interval is that over its cycles.
    return fit(figures) if len({name for name, _ in figures}) > 1 else None


def _summary(
    config_hash: str, gathered: GatheredConfiguration, models: Mapping[str, Fit | None]
) -> ConfigurationSummary:
    figures = gathered.figures
    methods = [one.energy_method for one in figures if one.energy_method is not None]

    def over_cycles(quantity: str) -> CycleStatistics | None:
        plain = gathered.over_cycles(quantity)
        return None if plain is None else with_block_interval(plain, models[quantity])

    return ConfigurationSummary(
        config_hash=config_hash,
        label=gathered.label,
        n_completed=len(figures),
        n_failed=gathered.n_failed,
        energy_method="estimated" if "estimated" in methods else next(iter(methods), None),
        energy_per_output_token_j=over_cycles("energy_per_output_token_j"),
        energy_adjusted_j=over_cycles("energy_adjusted_j"),
        output_tokens_per_second=over_cycles("output_tokens_per_second"),
        rank=None,
        indistinguishable_from_previous=None,
        load=_load(figures),
    )


def _load(figures: Sequence[Figures]) -> LoadStatistics | None:
    """What was served, over cycles; ``None`` where batches were run."""
    served = [one.served for one in figures if one.served is not None]
    if not served:
        return None
    values = {
        name: summarise([one.values[name] for one in served if name in one.values])
        for name in SERVED
    }
    return LoadStatistics(
        mode=served[0].mode,
        **values,
        n_overloaded=sum(one.overloaded for one in served),
        n_not_steady=sum(one.steady is False for one in served),
    )


def _ranked(summaries: list[ConfigurationSummary], model: Fit | None) -> list[ConfigurationSummary]:
    """Rank by mean energy an output token, in the order of the file where means are equal."""
    energies = {
        number: one.energy_per_output_token_j
        for number, one in enumerate(summaries)
        if one.energy_per_output_token_j is not None
    }

    def place(number: int) -> float:
        # Where blocks are not whole, a mean over cycles has its nodes in it; the model has not.
        if model is None:
            return energies[number].mean
        return model.configurations[summaries[number].config_hash]

    order = sorted(energies, key=place)
    ranked = list(summaries)
    for rank, number in enumerate(order, start=1):
        mine = summaries[number]
        difference = different = None
        if rank > 1 and model is not None:
            difference = compare(model, summaries[order[rank - 2]].config_hash, mine.config_hash)
            different = None if difference is None else difference.told_apart
        elif rank > 1:
            different = differ(energies[order[rank - 2]], energies[number])
        ranked[number] = mine.model_copy(
            update={
                "rank": rank,
                "indistinguishable_from_previous": None if different is None else not different,
                "difference_from_previous": difference,
            }
        )
    return ranked
