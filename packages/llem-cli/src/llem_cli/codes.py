"""Exit codes of ``llem`` beside 0; 130 and 143 are those of signals."""

FAILED = 1
"""The run failed, or what was asked for cannot be run."""
USAGE = 2
"""The command line or a configuration is wrong."""
