"""What two installations must have in common, and what each tells of itself."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pydantic import BaseModel, ConfigDict

from llem_core.contracts.hookspecs import CONTRACT_VERSION
from llem_core.contracts.messages import PROTOCOL_VERSION
from llem_core.results.migrate import SCHEMA_VERSION

OLDEST_PYTHON = (3, 11)


class PluginVersion(BaseModel):
    """A plugin that is installed somewhere."""

    model_config = ConfigDict(frozen=True)

    name: str
    distribution: str | None
    version: str | None

    @property
    def description(self) -> str:
        """Its distribution and version."""
        return f"{self.distribution or self.name} {self.version or ''}".rstrip()


class BackendDescription(BaseModel):
    """A backend that is installed somewhere.

    Attributes:
        json_schema: JSON schema of its section.
        defaults: its section's defaults, as JSON types.
        owner: distribution and version.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    summary: str
    json_schema: dict[str, Any]
    defaults: dict[str, Any]
    owner: str


class Description(BaseModel):
    """What an environment tells of itself that depends on nothing but what is installed there.

    Attributes:
        python: version of Python.
        fingerprint: changes when anything is installed, removed or edited there.
        llem_core: version of llem-core.
        protocol, contract, result_schema: versions of what both sides share.
        plugins: all that work.
        problems: a sentence for each plugin that does not.
        backends: by name.
        samplers: names.
        packages: versions of the packages that a result's snapshot names.
    """

    model_config = ConfigDict(frozen=True)

    python: str
    fingerprint: str
    llem_core: str
    protocol: int
    contract: int
    result_schema: int
    plugins: list[PluginVersion] = []
    problems: list[str] = []
    backends: dict[str, BackendDescription] = {}
    samplers: list[str] = []
    packages: dict[str, str] = {}


def core_version() -> str:
    """Version of the llem-core that runs here."""
    try:
        return version("llem-core")
    except PackageNotFoundError:  # run from its source
        return "unknown"


def differences(there: Description) -> list[str]:
    """What differs so that runs there could not be trusted or read here, naming both sides."""
    pairs: Sequence[tuple[str, object, object]] = (
        ("llem-core", _release(core_version()), _release(there.llem_core)),
        ("protocol of runs", PROTOCOL_VERSION, there.protocol),
        ("plugin contract", CONTRACT_VERSION, there.contract),
        ("schema of results", SCHEMA_VERSION, there.result_schema),
    )
    return [
        f"{what} {ours} here and {theirs} there" for what, ours, theirs in pairs if ours != theirs
    ]


def _release(text: str) -> str:
    """The part of a version within which configurations and results stay the same."""
    return ".".join(text.split(".")[:2])
