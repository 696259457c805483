"""Statistics of a study whose cycles are blocks: each was run whole on one node.

Nodes differ: by their meters' gains, their silicon, their cooling. Such a difference is a factor,
so everything here is done with logarithms: the figure of configuration c in block b is
``log y = m_c + e_b + noise``, the additive model of a randomised block design (G. E. P. Box,
J. S. Hunter, W. G. Hunter, "Statistics for Experimenters", 2nd ed. 2005, chapter 4).

- Two configurations are compared within blocks: what their node does to both is not in the ratio,
  and the paired t-test asks nothing of their variances.
- The interval of a configuration's mean holds for the nodes that were used, not for others: it has
  the noise within blocks alone, pooled over configurations.
- What nodes do is reported: each one's mean block effect against the mean of all nodes.

A block is a cycle on a node; a cycle that was finished on another node, as its own was lost, is
two.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from llem_core.results.student import t_quantile, t_survival
from llem_core.results.study import BlockDifference, CycleStatistics, NodeEffect
from llem_core.study.summary.statistics import CONFIDENCE

_SETTLED = 1e-13
_MOST_SWEEPS = 100_000
Block = tuple[int, str]
"""Cycle and node."""


@dataclass(frozen=True, slots=True)
class Fit:
    """The additive model of one quantity, fitted by least squares.

    Attributes:
        values: natural logarithm of each run's figure, by configuration and block.
        configurations: effect of each configuration; their level holds the general mean.
        blocks: effect of each block, 0 in the mean over runs.
        deviation: standard deviation of what is left (about its part of the figure); ``None``
            where nothing is left to estimate it from.
        freedom: its degrees of freedom.
    """

    values: Mapping[tuple[str, Block], float]
    configurations: Mapping[str, float]
    blocks: Mapping[Block, float]
    deviation: float | None
    freedom: int


def fit(figures: Mapping[tuple[str, Block], float]) -> Fit | None:
    """Fit the model to one quantity.

    Args:
        figures: of each run, by configuration and block.

    Returns:
        ``None`` where there are none, or one of them is not above 0: a factor says nothing of it.
    """
    if not figures or min(figures.values()) <= 0:
        return None
    values = {key: math.log(value) for key, value in figures.items()}
    of_configuration: dict[str, list[Block]] = {}
    of_block: dict[Block, list[str]] = {}
    for name, block in values:
        of_configuration.setdefault(name, []).append(block)
        of_block.setdefault(block, []).append(name)
    effects = dict.fromkeys(of_configuration, 0.0)
    blocks = dict.fromkeys(of_block, 0.0)
    for _ in range(_MOST_SWEEPS):
        for name, mine in of_configuration.items():
            effects[name] = statistics.fmean(values[name, b] - blocks[b] for b in mine)
        moved = 0.0
        for block, names in of_block.items():
            new = statistics.fmean(values[n, block] - effects[n] for n in names)
            moved = max(moved, abs(new - blocks[block]))
            blocks[block] = new
        if moved < _SETTLED:
            break
    centre = statistics.fmean(blocks[block] for _, block in values)
    effects = {name: effect + centre for name, effect in effects.items()}
    blocks = {block: effect - centre for block, effect in blocks.items()}
    freedom = len(values) - len(effects) - len(blocks) + _parts(values)
    left = sum((v - effects[n] - blocks[b]) ** 2 for (n, b), v in values.items())
    deviation = math.sqrt(left / freedom) if freedom > 0 else None
    return Fit(values, effects, blocks, deviation, freedom)


def compare(model: Fit, better: str, other: str) -> BlockDifference | None:
    """How much more a configuration takes than another one, from blocks that have both.

    Returns:
        ``None`` where fewer than two blocks have both: there is no spread to judge it by.
    """
    both = [
        model.values[other, block] - model.values[better, block]
        for block in model.blocks
        if (better, block) in model.values and (other, block) in model.values
    ]
    if len(both) < 2:
        return None
    mean, error = statistics.fmean(both), statistics.stdev(both) / math.sqrt(len(both))
    half = t_quantile(0.5 + CONFIDENCE / 2, len(both) - 1) * error
    p = 2 * t_survival(abs(mean) / error, len(both) - 1) if error else float(not mean)
    return BlockDifference(
        difference_percent=_percent(mean),
        interval_low_percent=_percent(mean - half),
        interval_high_percent=_percent(mean + half),
        n_blocks=len(both),
        told_apart=p < 1 - CONFIDENCE,
    )


def with_block_interval(plain: CycleStatistics, model: Fit | None) -> CycleStatistics:
    """Statistics over cycles with the interval that holds for the nodes that were used.

    Mean and standard deviation are those over all cycles; the interval has the noise within blocks
    alone. Where that is not known there is no interval.
    """
    if model is None:
        return plain
    none = {"interval_low": None, "interval_high": None}
    if model.deviation is None or plain.n < 2:
        return plain.model_copy(update=none)
    quantile = t_quantile(0.5 + CONFIDENCE / 2, model.freedom)
    half = quantile * model.deviation * plain.mean / math.sqrt(plain.n)
    interval = {"interval_low": plain.mean - half, "interval_high": plain.mean + half}
    return plain.model_copy(update=interval)


def node_effects(model: Fit) -> list[NodeEffect]:
    """What each node does to the figures, against the mean of all nodes.

    The interval is from the scatter of blocks on one node; it is missing where no node has two.
    There are no effects where configurations and nodes cannot be told from each other, as when each
    was on a node of its own, nor with one node.
    """
    of_node: dict[str, list[float]] = {}
    for (_, node), effect in model.blocks.items():
        of_node.setdefault(node, []).append(effect)
    if len(of_node) < 2 or _parts((name, node) for name, (_, node) in model.values) > 1:
        return []
    means = {node: statistics.fmean(effects) for node, effects in of_node.items()}
    centre = statistics.fmean(means.values())
    freedom = len(model.blocks) - len(of_node)
    spread = sum((e - means[node]) ** 2 for node, effects in of_node.items() for e in effects)
    share = 1 / len(of_node)
    found = []
    for node in sorted(of_node):
        effect = means[node] - centre
        half = None
        if freedom > 0:
            weights = sum(
                ((node == other) - share) ** 2 / len(effects) for other, effects in of_node.items()
            )
            error = math.sqrt(spread / freedom * weights)
            half = t_quantile(0.5 + CONFIDENCE / 2, freedom) * error
        found.append(
            NodeEffect(
                node=node,
                n_runs=sum(block[1] == node for _, block in model.values),
                n_blocks=len(of_node[node]),
                effect_percent=_percent(effect),
                interval_low_percent=None if half is None else _percent(effect - half),
                interval_high_percent=None if half is None else _percent(effect + half),
            )
        )
    return found


def confounded(nodes: Mapping[str, Sequence[str]], *, blocked: bool) -> Iterator[str]:
    """What cannot be told from what, where runs were on several nodes.

    Args:
        nodes: the node of each completed run, by configuration; empty names for those unknown.
        blocked: whether each cycle was kept on one node.
    """
    used = {name: Counter(mine) for name, mine in nodes.items() if any(mine)}
    everywhere = sorted({node for counts in used.values() for node in counts})
    if len(used) < 2 or len(everywhere) < 2:
        return
    pairs = combinations(used, 2)
    apart = next((pair for pair in pairs if not used[pair[0]] & used[pair[1]]), None)
    if apart is not None:
        first, second = apart
        yield (
            f"{first} ran on {_listed(used[first])} and {second} on {_listed(used[second])}: "
            "whether the configurations or the nodes differ cannot be told; run more cycles with "
            "execution.block: node."
        )
    elif not blocked:
        yield (
            f"Runs were spread over {len(everywhere)} nodes ({', '.join(everywhere)}) without "
            "regard to cycles: part of the differences between configurations are those between "
            "nodes, and the intervals have them too; execution.block: node takes them out."
        )


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{node or 'an unknown node'} ({n})" for node, n in sorted(counts.items()))


def _percent(logarithm: float) -> float:
    return 100 * math.expm1(logarithm)


def _parts(pairs: Iterable[tuple[str, object]]) -> int:
    """Into how many parts that share nothing the configurations and blocks fall."""
    parts: list[set[object]] = []
    for name, block in pairs:
        both: set[object] = {("configuration", name), ("block", block)}
        joined = [part for part in parts if part & both]
        parts = [part for part in parts if not part & both]
        parts.append(both.union(*joined))
    return len(parts)
