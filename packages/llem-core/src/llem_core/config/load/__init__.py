"""The load that an engine serves: ``load`` in an experiment file."""

from llem_core.config.load.section import LoadConfig, SloConfig
from llem_core.config.load.trace import TraceRequest, read_trace

__all__ = ["LoadConfig", "SloConfig", "TraceRequest", "read_trace"]
