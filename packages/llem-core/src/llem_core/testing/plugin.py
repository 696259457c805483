"""A plugin object that offers whatever specs it is given."""

from __future__ import annotations

from collections.abc import Sequence

from llem_core.contracts import (
    BackendSpec,
    LauncherSpec,
    SamplerSpec,
    SinkSpec,
    StudyService,
    hookimpl,
)
from llem_core.contracts.hookspecs import CONTRACT_VERSION


class FakePlugin:
    """Offers specs; register it with ``Plugins.register``.

    Example::

        plugins = Plugins()
        plugins.register(FakePlugin(backends=[scripted_backend()]))
        with use_plugins(plugins):
            result = run_experiment(model="any", backend="scripted", n=2)
        assert result.output_tokens == 2 * 128
    """

    LLEM_CONTRACT = CONTRACT_VERSION

    def __init__(
        self,
        *,
        backends: Sequence[BackendSpec] = (),
        samplers: Sequence[SamplerSpec] = (),
        sinks: Sequence[SinkSpec] = (),
        launchers: Sequence[LauncherSpec] = (),
        services: Sequence[StudyService] = (),
    ) -> None:
        self._services = list(services)
        self._backends = list(backends)
        self._samplers = list(samplers)
        self._sinks = list(sinks)
        self._launchers = list(launchers)

    @hookimpl
    def llem_backends(self) -> list[BackendSpec]:
        """The backends."""
        return self._backends

    @hookimpl
    def llem_samplers(self) -> list[SamplerSpec]:
        """The samplers."""
        return self._samplers

    @hookimpl
    def llem_sinks(self) -> list[SinkSpec]:
        """The sinks."""
        return self._sinks

    @hookimpl
    def llem_study_services(self) -> list[StudyService]:
        """The services that every study keeps."""
        return self._services

    @hookimpl
    def llem_launchers(self) -> list[LauncherSpec]:
        """The launchers."""
        return self._launchers
