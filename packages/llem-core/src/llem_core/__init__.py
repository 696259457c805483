"""Core of LLenergyMeasure. The stable public names are those of ``llenergymeasure``."""

from importlib.metadata import version

__version__ = version("llem-core")
