"""The conformance kit, over a cluster that it starts on this machine."""

from typing import ClassVar

from llem_core.testing import LauncherContract


class TestRay(LauncherContract):
    plugin = "llem_ray.hooks"
    limit_s: ClassVar = 180.0
    # Ray reads them again later.
    may_set: ClassVar = frozenset({"RAY_CLIENT_MODE", "RAY_AUTH_MODE"})
