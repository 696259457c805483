"""What a researcher wants of one study at a glance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from llem_core.results.views.block import Block, counted
from llem_core.results.views.ranking import ranking, told_apart
from llem_core.results.views.served import served_block
from llem_core.units import format_duration, format_si

if TYPE_CHECKING:
    from llem_core.results.study import OutputAgreement, StudyResult


UNKNOWN_ORDER = "unknown"
"""``cycle_order`` of a study whose design is lost."""


class Labelled(Protocol):
    """A combination that is no valid experiment, as a study or its result has it."""

    @property
    def label(self) -> str:
        """What tells it from the others."""

    @property
    def reason(self) -> str:
        """Why it is none."""


def study_blocks(result: StudyResult, failures: Sequence[str] = ()) -> list[Block]:
    """The blocks of one study, in their order; some may be empty.

    Args:
        result: the study's result.
        failures: a sentence for each run without a result.
    """
    return [
        _study(result),
        _ranking(result),
        served_block(result.configurations),
        nodes_block(result),
        Block("Failed runs", items=list(failures)),
        skipped_block(result.skipped),
        Block("Equal outputs", items=[agreement(each) for each in result.output_agreement]),
        Block("Warnings", items=list(result.warnings)),
    ]


def skipped_block(skipped: Sequence[Labelled]) -> Block:
    """The combinations that are no valid experiments, each with its reason."""
    return Block("Skipped", items=[f"{one.label}: {one.reason}" for one in skipped])


def _study(result: StudyResult) -> Block:
    summary, protocol = result.summary, result.measurement_protocol
    block = Block("Study", f"{result.study_name}, design {result.study_design_hash}")
    failed = f", {summary.n_failed} failed" if summary.n_failed else ""
    missing = f", {summary.n_not_run} not run" if summary.n_not_run else ""
    block.add("runs", f"{summary.n_completed} of {summary.n_runs} completed{failed}{missing}")
    block.add(
        "design",
        f"{counted(summary.n_configurations, 'configuration')} × "
        f"{counted(protocol.n_cycles, 'cycle')}, {in_order(protocol.cycle_order)}"
        f"{'' if protocol.block is None else ', each cycle on one node'}",
    )
    for told in protocol.shared:
        block.add("shared", told)
    block.add("pauses", gaps(protocol.config_gap_seconds, protocol.cycle_gap_seconds))
    windows = format_duration(summary.duration_measured_s)
    if summary.energy_total_j is None:
        block.add("energy", f"not measured; measured windows took {windows}")
    else:
        word = " (estimated)" if summary.energy_estimated else ""
        total = format_si(summary.energy_total_j, "J")
        block.add("energy", f"{total}{word} in measured windows of {windows}")
    block.add("took", format_duration(summary.duration_total_s))
    return block


def runs_of(n_configurations: int, n_cycles: int) -> str:
    """How large a study is, such as ``4 configurations × 3 cycles = 12 runs``."""
    return (
        f"{counted(n_configurations, 'configuration')} × {counted(n_cycles, 'cycle')} = "
        f"{counted(n_configurations * n_cycles, 'run')}"
    )


def in_order(cycle_order: str) -> str:
    """The order of runs as it stands in a list."""
    return "order not known" if cycle_order == UNKNOWN_ORDER else cycle_order


def gaps(config_gap_s: float | None, cycle_gap_s: float | None) -> str:
    """The pauses between runs, for people; ``None`` is one that is not known."""
    if config_gap_s is None and cycle_gap_s is None:
        return "not known"
    if config_gap_s == cycle_gap_s == 0:
        return "none"
    told = [
        "not known" if seconds is None else format_duration(seconds)
        for seconds in (config_gap_s, cycle_gap_s)
    ]
    return f"{told[0]} between experiments, {told[1]} between cycles"


def _ranking(result: StudyResult) -> Block:
    configurations = result.configurations
    if all(c.energy_per_output_token_j is None for c in configurations):
        remark = "in the order of the file, as there is no energy to rank by; means over cycles"
    else:
        remark = "by energy per output token; means over cycles and their 95 % t-intervals"
        if result.measurement_protocol.block is not None:
            remark += " for these nodes"
    sentences = told_apart(configurations, blocked=result.measurement_protocol.block is not None)
    return Block("Configurations", remark, items=sentences, table=ranking(configurations))


def nodes_block(result: StudyResult) -> Block:
    """What each node does to the energy per output token."""
    remark = "energy per output token against the mean of the nodes, with 95 % intervals"
    block = Block("Nodes", remark if result.nodes else "")
    for node in result.nodes:
        interval = "no interval: no node has two cycles"
        if node.interval_low_percent is not None:
            low, high = node.interval_low_percent, node.interval_high_percent
            interval = f"{low:+.2f} to {high:+.2f} %"
        runs = counted(node.n_runs, "run")
        block.add(node.node, f"{node.effect_percent:+.2f} % ({interval}), {runs}")
    return block


def agreement(found: OutputAgreement) -> str:
    """How far two engines gave the same outputs, without a stop at its end."""
    pair = f"{found.label}, against {found.reference_label}"
    if found.equal_token_share is None:
        return f"{pair}: not compared, as {found.missing_reason}"
    return (
        f"{pair}: {found.n_equal_tokens} of {found.n_tokens} output tokens are equal "
        f"({found.equal_token_share:.1%}), and {found.n_equal_requests} of {found.n_requests} "
        "outputs as a whole"
    )
