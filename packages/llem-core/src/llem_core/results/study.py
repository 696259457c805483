"""The result of a study: ``study_result.json``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator

from llem_core.contracts.sampler import EnergyMethod
from llem_core.contracts.workload import LoadMode
from llem_core.results.migrate import STUDY_SCHEMA_VERSION, migrate_study
from llem_core.results.views.frame import configuration_rows, frame, run_rows
from llem_core.results.views.html import as_html
from llem_core.results.views.line import study_line
from llem_core.results.views.study import study_blocks

FinalStatus = Literal["completed", "failed", "interrupted"]
StudyState = Literal["completed", "failed", "interrupted", "running"]

_STRICT = ConfigDict(extra="forbid", frozen=True, defer_build=True, allow_inf_nan=False)


class CycleStatistics(BaseModel):
    """One quantity of one configuration over its cycles."""

    model_config = _STRICT

    n: int = Field(description="Cycles that have this quantity.")
    mean: float = Field(description="Mean over the cycles, in the quantity's unit.")
    standard_deviation: float | None = Field(
        description="Sample standard deviation (n − 1); null for one cycle."
    )
    coefficient_of_variation: float | None = Field(
        description="Standard deviation over mean (dimensionless); null for one cycle."
    )
    interval_low: float | None = Field(
        description="Lower end of the 95 % t-interval of the mean; null for one cycle."
    )
    interval_high: float | None = Field(
        description="Upper end of the 95 % t-interval of the mean; null for one cycle."
    )


class BlockDifference(BaseModel):
    """How much more one configuration takes than another, from blocks that have both."""

    model_config = _STRICT

    difference_percent: float = Field(
        description="Ratio of the two less 1 (%), the geometric mean over blocks."
    )
    interval_low_percent: float = Field(description="Lower end of its 95 % t-interval (%).")
    interval_high_percent: float = Field(description="Upper end of its 95 % t-interval (%).")
    n_blocks: int = Field(description="Blocks that have both.")
    told_apart: bool = Field(description="Whether the paired t-test tells them apart (95 %).")


class NodeEffect(BaseModel):
    """What a node does to the energy per output token, against the mean of all nodes."""

    model_config = _STRICT

    node: str = Field(description="Name of the node.")
    n_runs: int = Field(description="Completed runs on it.")
    n_blocks: int = Field(description="Blocks, or parts of blocks, on it.")
    effect_percent: float = Field(description="Its factor less 1 (%).")
    interval_low_percent: float | None = Field(
        description="Lower end of its 95 % t-interval (%); null where no node has two blocks."
    )
    interval_high_percent: float | None = Field(
        description="Upper end of its 95 % t-interval (%); null where no node has two blocks."
    )


class LoadStatistics(BaseModel):
    """What one configuration served under its load, over its cycles.

    Percentiles are each run's own, so that their scatter is that between runs.
    """

    model_config = _STRICT

    mode: LoadMode = Field(description="Closed, open or trace.")
    offered_requests_per_second: CycleStatistics | None = Field(
        description="Requests that were due in the window, per second (1/s); null for a closed "
        "load, which offers what is served."
    )
    achieved_requests_per_second: CycleStatistics | None = Field(
        description="Requests finished in the window, per second (1/s)."
    )
    mean_concurrency: CycleStatistics | None = Field(description="Mean of the requests in flight.")
    goodput_requests_per_second: CycleStatistics | None = Field(
        description="Requests finished that kept the SLO, per second (1/s); null without."
    )
    slo_attainment: CycleStatistics | None = Field(
        description="Share of the requests that kept the SLO (dimensionless); null without."
    )
    time_to_first_token_p50_s: CycleStatistics | None = Field(
        description="Median time to first token of a run (s)."
    )
    time_to_first_token_p99_s: CycleStatistics | None = Field(
        description="Its 99th percentile (s)."
    )
    inter_token_latency_p50_s: CycleStatistics | None = Field(
        description="Median inter-token latency of a run (s)."
    )
    inter_token_latency_p99_s: CycleStatistics | None = Field(
        description="Its 99th percentile (s)."
    )
    time_per_output_token_p50_s: CycleStatistics | None = Field(
        description="Median time per output token of a run (s)."
    )
    time_per_output_token_p99_s: CycleStatistics | None = Field(
        description="Its 99th percentile (s)."
    )
    end_to_end_latency_p50_s: CycleStatistics | None = Field(
        description="Median end-to-end latency of a run (s)."
    )
    end_to_end_latency_p99_s: CycleStatistics | None = Field(description="Its 99th percentile (s).")
    energy_per_request_j: CycleStatistics | None = Field(
        description="Gross energy per request (J); null without energy."
    )
    energy_per_good_request_j: CycleStatistics | None = Field(
        description="Gross energy per request that kept the SLO (J); null likewise."
    )
    mean_power_w: CycleStatistics | None = Field(
        description="Mean power of the window (W); null without energy."
    )
    n_overloaded: int = Field(description="Cycles in which more was offered than served.")
    n_not_steady: int = Field(description="Cycles whose window was not steady.")


class ConfigurationSummary(BaseModel):
    """One configuration over its cycles."""

    model_config = _STRICT

    config_hash: str = Field(description="Its measurement_config_hash.")
    label: str = Field(description="What tells it from the others.")
    n_completed: int = Field(description="Cycles with a result.")
    n_failed: int = Field(description="Cycles that were tried and have no result.")
    energy_method: EnergyMethod | None = Field(
        description="`estimated` if any cycle's energy is; null without energy."
    )
    energy_per_output_token_j: CycleStatistics | None = Field(
        description="Gross energy per output token (J); null where no cycle has it."
    )
    energy_adjusted_j: CycleStatistics | None = Field(
        description="Adjusted energy of the window (J); null where no cycle has it."
    )
    output_tokens_per_second: CycleStatistics | None = Field(
        description="Output tokens/s (1/s); null where no cycle has it."
    )
    rank: int | None = Field(
        description="Place by mean energy per output token, 1 is the least; with blocks by the "
        "mean that is left when nodes are taken out; null without energy."
    )
    indistinguishable_from_previous: bool | None = Field(
        description="Whether it cannot be told apart from the configuration ranked just before it "
        "(Welch's t-test, two-sided, 95 %, not corrected for the number of comparisons); null "
        "where that cannot be asked: one of the two has one cycle, so its spread is not known. "
        "With blocks it is the paired t-test over the blocks that have both."
    )
    difference_from_previous: BlockDifference | None = Field(
        None,
        description="How much more it takes than the one ranked just before it, within blocks; "
        "null without blocks, and where fewer than two blocks have both.",
    )
    load: LoadStatistics | None = Field(
        None, description="What it served; null where batches were run."
    )


class StudySummary(BaseModel):
    """A study in figures."""

    model_config = _STRICT

    n_generated: int | None = Field(
        description="Combinations that the file stands for; null where its design is lost."
    )
    n_configurations: int = Field(description="Different valid configurations.")
    n_skipped: int = Field(description="Combinations that are no valid experiments.")
    n_cycles: int = Field(description="Cycles asked for.")
    n_runs: int = Field(description="Runs planned: configurations × cycles.")
    n_completed: int = Field(description="Runs with a result.")
    n_failed: int = Field(description="Runs that were tried and have no result.")
    n_not_run: int = Field(description="Runs that were not tried, or were interrupted.")
    energy_total_j: float | None = Field(
        description="Gross energy of all measured windows (J); null where none was measured."
    )
    energy_estimated: bool = Field(description="Whether any of that energy is an estimate.")
    duration_measured_s: float = Field(description="Length of all measured windows (s).")
    duration_total_s: float = Field(
        description="From the start to the end, gaps included, over all resumptions (s)."
    )


class MeasurementProtocol(BaseModel):
    """How the study was run: what a methods section has to state."""

    model_config = _STRICT

    n_cycles: int = Field(description="Repetitions of every experiment.")
    cycle_order: str = Field(
        description="Order of experiments and cycles; `unknown` where the study's design is lost."
    )
    shuffle_seed: str | None = Field(description="What `shuffled` was seeded with.")
    config_gap_seconds: float | None = Field(
        description="Pause between experiments (s); null where the study's design is lost, which a "
        "warning then says."
    )
    cycle_gap_seconds: float | None = Field(description="Pause between cycles (s); null likewise.")
    experiment_timeout_seconds: float | None = Field(
        description="Limit of an experiment (s); null likewise."
    )
    process_isolation: str = Field(description="How each experiment was given its process.")
    interval: str = Field(description="How intervals were come by.")
    comparison: str = Field(description="How configurations were compared.")
    block: str | None = Field(
        None, description="What each cycle was kept on: `node`; null where it was not."
    )
    shared: list[str] = Field(
        [], description="What runs shared, such as a server that was kept within each cycle."
    )


class SkippedCombination(BaseModel):
    """A combination of the study file that is no valid experiment."""

    model_config = _STRICT

    label: str = Field(description="What tells it from the others.")
    reason: str = Field(description="Why it is no valid experiment.")


class OutputAgreement(BaseModel):
    """Whether two engines gave the same outputs to the same prompts, greedily and in one dtype."""

    model_config = _STRICT

    reference_hash: str = Field(description="measurement_config_hash of the first engine's.")
    reference_label: str = Field(description="What tells it from the others.")
    config_hash: str = Field(description="measurement_config_hash of the other engine's.")
    label: str = Field(description="What tells it from the others.")
    n_requests: int | None = Field(description="Requests that both finished.")
    n_equal_requests: int | None = Field(description="Those whose outputs are equal as a whole.")
    n_tokens: int | None = Field(
        description="Output tokens compared; of outputs of different lengths, the longer one's."
    )
    n_equal_tokens: int | None = Field(
        description="Those that are the same token at the same place of the same output."
    )
    equal_token_share: float | None = Field(
        description="n_equal_tokens over n_tokens (dimensionless); null where not compared."
    )
    missing_reason: str | None = Field(description="Why they were not compared.")


class _Place:
    """Where a result lies. It is no part of what the result says: all places are equal."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Place)

    def __hash__(self) -> int:
        return 0


class StudyResult(BaseModel):
    """A finished study. Results of experiments are files beside it, never embedded.

    ``load_study`` also makes one of a study that still runs: its ``status`` says so, and its
    first warning.
    """

    model_config = _STRICT

    schema_version: int = Field(STUDY_SCHEMA_VERSION, description="Version of this schema.")
    study_name: str = Field(description="Name of the study.")
    study_design_hash: str = Field(description="Names the set of configurations.")
    status: StudyState = Field(
        description="How the study ended; `running` in no file, but where one that has not ended "
        "is loaded."
    )
    started_at: str = Field(description="When it started first (ISO 8601, UTC).")
    finished_at: str = Field(description="When it ended (ISO 8601, UTC).")
    measurement_protocol: MeasurementProtocol = Field(description="How it was run.")
    result_files: list[str] = Field(
        description="result.json of each completed run, relative to this file, in execution order."
    )
    summary: StudySummary = Field(description="The study in figures.")
    configurations: list[ConfigurationSummary] = Field(
        description="Statistics over cycles, in the order of the file."
    )
    output_agreement: list[OutputAgreement] = Field(
        default_factory=list,
        description="With several engines: each configuration's outputs against those of the "
        "first engine.",
    )
    nodes: list[NodeEffect] = Field(
        [],
        description="What each node does to the energy per output token; empty with one node, and "
        "where nodes cannot be told from configurations.",
    )
    skipped: list[SkippedCombination] = Field(
        description="Combinations that are no valid experiments."
    )
    merged: list[str] = Field(
        description="A sentence for each set of identical combinations that became one."
    )
    warnings: list[str] = Field(description="What may be wrong with these figures.")

    _place: _Place = PrivateAttr(default_factory=_Place)

    @model_validator(mode="before")
    @classmethod
    def _bring_up_to_date(cls, data: Any) -> Any:
        return migrate_study(data)

    @property
    def folder(self) -> Path | None:
        """The study's folder; ``None`` where it is not known."""
        return self._place.folder

    def located(self, folder: Path) -> Self:
        """The same result, which knows its folder."""
        located = self.model_copy()
        located._place = _Place(folder.absolute())
        return located

    def to_rows(self, by: Literal["run", "configuration"] = "run") -> list[dict[str, Any]]:
        """The study as plain rows.

        Args:
            by: ``run`` for a row a run, in execution order: hash, label, cycle, node, status and
                error, then the columns of ``study.csv``, then each setting that differs between
                the runs by its dotted path. ``configuration`` for statistics over cycles.

        Returns:
            Rows that all have the same keys; units are in the keys, and what is not there is
            ``None``.

        Raises:
            StudyError: rows by run, of a result that does not know its folder.
        """
        return run_rows(self, self.folder) if by == "run" else configuration_rows(self)

    def to_frame(self, by: Literal["run", "configuration"] = "run") -> Any:
        """The rows of ``to_rows`` as a ``pandas.DataFrame``; the rows where pandas is missing.

        Raises:
            StudyError: as for ``to_rows``.
        """
        return frame(self.to_rows(by))

    def __repr__(self) -> str:
        """One line; ``model_dump()`` has everything."""
        return study_line(self)

    __str__ = __repr__

    def _repr_html_(self) -> str:
        """The summary for a notebook."""
        return as_html(study_blocks(self))
