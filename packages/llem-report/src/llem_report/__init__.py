"""Reports of LLenergyMeasure's results, made of results alone: nothing is measured here."""

from llem_report.write import write_report

__all__ = ["write_report"]
