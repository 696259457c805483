"""Every error that LLenergyMeasure raises on purpose.

    LLEMError
    ├── ConfigError       a file, key or value that cannot be used       exit 2
    ├── PluginError       a plugin that is missing, broken or ambiguous  exit 2
    ├── PreFlightError    found wrong before anything was measured       exit 1
    ├── BackendError      the backend failed to load or to generate      exit 1
    │   └── OutOfMemoryError
    ├── EnergyError       a sampler failed in a way that has no reading  exit 1
    ├── ExperimentError   an experiment failed outside its backend       exit 1
    └── StudyError        a study cannot start, go on or resume          exit 1

A message is one paragraph: what is wrong, where, and what to do about it.
pydantic's ``ValidationError`` passes through the Python API unchanged; only the file
loader turns it into a ``ConfigError`` that names the file.
"""

from __future__ import annotations


class LLEMError(Exception):
    """Base of all errors raised on purpose; ``exit_code`` is what the CLI ends with."""

    exit_code = 1


class ConfigError(LLEMError):
    """A configuration that cannot be used: the message names file, key and remedy."""

    exit_code = 2


class PluginError(LLEMError):
    """A plugin that is not installed, does not load or claims a name that is taken."""

    exit_code = 2


class PreFlightError(LLEMError):
    """A problem found before anything was loaded or measured."""


class BackendError(LLEMError):
    """A backend failed to load a model or to generate."""


class OutOfMemoryError(BackendError):
    """A device ran out of memory; the message has the peak and what to lower."""


class EnergyError(LLEMError):
    """A sampler failed in a way that leaves no reading at all."""


class ExperimentError(LLEMError):
    """An experiment failed for a reason that is not its backend's."""


class StudyError(LLEMError):
    """A study cannot start, go on or resume."""
