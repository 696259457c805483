"""Takes what vLLM's scheduler says of each step: the cache, the queue, preemptions."""

from __future__ import annotations

from typing import Any

from vllm.v1.metrics.loggers import AggregateStatLoggerBase


class Recorder(AggregateStatLoggerBase):  # type: ignore[misc]  # vLLM is not followed
    """Stands in the place of vLLM's own statistics, which print and export them.

    Attributes:
        output_tokens: tokens that the engine has ever generated.
        preemptions: of all time.
        prefix_queries, prefix_hits: prompt tokens that were looked up in the prefix cache, and
            found there, of all time.
        kv_cache_usage: highest share of the cache in use since ``begin`` (dimensionless).
        running, waiting: most requests that were computed, and that waited, since ``begin``.
    """

    def __init__(self) -> None:
        self.output_tokens = 0
        self.preemptions = 0
        self.prefix_queries = 0
        self.prefix_hits = 0
        self.drafted = 0
        self.accepted = 0
        self._before = self._totals()
        self.kv_cache_usage = 0.0
        self.running = 0
        self.waiting = 0

    def begin(self) -> None:
        """Count afresh what is said of a window."""
        self._before = self._totals()
        self.kv_cache_usage = 0.0
        self.running = self.waiting = 0

    def record(
        self,
        scheduler_stats: Any,
        iteration_stats: Any,
        mm_cache_stats: Any = None,
        engine_idx: int | None = None,
    ) -> None:
        """Called by vLLM after each step."""
        del mm_cache_stats, engine_idx
        if scheduler_stats is not None:
            self.kv_cache_usage = max(self.kv_cache_usage, scheduler_stats.kv_cache_usage)
            self.running = max(self.running, scheduler_stats.num_running_reqs)
            self.waiting = max(self.waiting, scheduler_stats.num_waiting_reqs)
            prefix = scheduler_stats.prefix_cache_stats
            if prefix is not None:
                self.prefix_queries += prefix.queries
                self.prefix_hits += prefix.hits
            drafts = scheduler_stats.spec_decoding_stats
            if drafts is not None:
                self.drafted += drafts.num_draft_tokens
                self.accepted += drafts.num_accepted_tokens
        if iteration_stats is not None:
            self.output_tokens += iteration_stats.num_generation_tokens
            self.preemptions += iteration_stats.num_preempted_reqs

    def log_engine_initialized(self) -> None:
        """Nothing is printed."""

    def counters(self) -> dict[str, float]:
        """All-time counters, for ``engine_counters``."""
        return {name: float(value) for name, value in self._totals().items()}

    def since(self) -> dict[str, int]:
        """The counters since ``begin``."""
        return {name: value - self._before[name] for name, value in self._totals().items()}

    def _totals(self) -> dict[str, int]:
        return {
            "output_tokens": self.output_tokens,
            "preemptions": self.preemptions,
            "prefix_cache_queried_tokens": self.prefix_queries,
            "prefix_cache_hit_tokens": self.prefix_hits,
            "draft_tokens": self.drafted,
            "accepted_draft_tokens": self.accepted,
        }
