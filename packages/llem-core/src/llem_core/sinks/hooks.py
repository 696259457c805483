"""Registers the sinks of core."""

from __future__ import annotations

from llem_core.contracts.config import Section
from llem_core.contracts.hookspecs import hookimpl
from llem_core.contracts.sink import ResultSink, SinkSpec

LLEM_CONTRACT = 2


class CsvConfig(Section):
    """Writes ``result.csv`` beside each result; there is nothing to set.

    ``study.csv`` is written for every study, with or without this section.
    """


def _json(section: Section | None) -> ResultSink:
    from llem_core.sinks.json import JsonSink

    return JsonSink(section)


def _parquet(section: Section | None) -> ResultSink:
    from llem_core.sinks.parquet import ParquetSink

    return ParquetSink(section)


def _csv(section: Section | None) -> ResultSink:
    from llem_core.sinks.csv import CsvSink

    return CsvSink(section)


@hookimpl
def llem_sinks() -> list[SinkSpec]:
    """Name them."""
    return [
        SinkSpec(
            "json",
            "result.json and study_result.json, the records of experiments and of studies.",
            _json,
            always_on=True,
        ),
        SinkSpec(
            "parquet",
            "timeseries.parquet and requests.parquet, the raw data of an experiment.",
            _parquet,
            always_on=True,
        ),
        SinkSpec(
            "csv",
            "result.csv, the figures of an experiment as one row; study.csv, a row a run.",
            _csv,
            CsvConfig,
            every_study=True,
        ),
    ]
