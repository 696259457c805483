"""Every unit test runs with scripted plugins and the sinks of core, never with installed ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager

import pytest
from llem_core.contracts import BackendSpec, SamplerSpec, SinkSpec
from llem_core.plugins import Plugins, use_plugins
from llem_core.sinks import hooks as core_sinks
from llem_core.study.launch import hooks as core_launchers
from llem_core.testing import FakePlugin, scripted_backend


def make_plugins(
    backends: Sequence[BackendSpec] = (),
    samplers: Sequence[SamplerSpec] = (),
    sinks: Sequence[SinkSpec] = (),
) -> Plugins:
    plugins = Plugins()
    plugins.register(core_sinks, "core-sinks")
    plugins.register(core_launchers, "core-launchers")
    plugins.register(
        FakePlugin(backends=backends or [scripted_backend()], samplers=samplers, sinks=sinks),
        "scripted",
    )
    return plugins


@pytest.fixture
def with_plugins() -> Callable[..., AbstractContextManager[Plugins]]:
    """Within the block, only these specs are installed, with a scripted backend by default."""

    def within(**specs: Sequence[object]) -> AbstractContextManager[Plugins]:
        return use_plugins(make_plugins(**specs))  # type: ignore[arg-type]

    return within


@pytest.fixture
def scripted() -> Iterator[Plugins]:
    """A scripted backend and no sampler."""
    with use_plugins(make_plugins()) as plugins:
        yield plugins
