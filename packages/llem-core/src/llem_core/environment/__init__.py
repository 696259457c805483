"""Where an experiment is measured: a file a source, put together by ``snapshot``."""

from llem_core.environment.snapshot import take_snapshot

__all__ = ["take_snapshot"]
