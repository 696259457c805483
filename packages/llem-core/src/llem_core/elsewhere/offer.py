"""Makes the backends of environments known here, so that experiments with them can be validated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from llem_core.contracts.backend import Backend, BackendSpec, CheckReport
from llem_core.contracts.config import BackendSection
from llem_core.contracts.hookspecs import Availability
from llem_core.contracts.workload import Workload
from llem_core.elsewhere.config import EnvironmentConfig
from llem_core.errors import PluginError, PreFlightError
from llem_core.plugins import plugins
from llem_core.plugins.registry import DISTRIBUTIONS
from llem_core.text import nearest

if TYPE_CHECKING:
    from llem_core.elsewhere.versions import BackendDescription


@dataclass(frozen=True, slots=True)
class BackendElsewhere(BackendSpec):
    """A backend that is installed in an environment and not here.

    Attributes:
        environment: name of the environment.
        owner: distribution and version there.
    """

    environment: str = ""
    owner: str = ""


def offer(environments: Mapping[str, Any], names: Iterable[str]) -> None:
    """Ask the environments of these names for their backends, each once.

    Args:
        environments: name to environment, validated or not; one that is no environment is left
            to the validation of the experiment.
        names: those that are needed; others than those defined are passed over.

    Raises:
        PreFlightError: some of them cannot be used; all reasons in one message.
    """
    from llem_core.elsewhere.ask import describe  # most experiments need none of it

    failed = []
    for name in dict.fromkeys(names):
        config = _config(environments.get(name))
        if config is None or plugins().offer_of(name) == config:
            continue
        try:
            found = describe(name, config).backends.values()
        except PreFlightError as error:
            failed.append(str(error).rstrip("."))
            continue
        plugins().offer(name, config, [_spec(name, config, each) for each in found])
    if failed:
        raise PreFlightError(f"{'; '.join(failed)}.")


def section_in(environment: str, backend: str) -> type[BackendSection] | None:
    """The model of a backend's section in an environment that has been asked for it."""
    spec = plugins().offers(environment).get(backend)
    return None if spec is None else spec.section


def unknown_environment(name: str, known: Iterable[str]) -> str:
    """What is wrong with the name of an environment that is not defined."""
    names = list(known)
    near = nearest(name, names)
    return (
        f"there is no environment {name!r}; {f'did you mean {near!r}? ' if near else ''}defined "
        f"in `environments`: {', '.join(names) or 'none'}"
    )


def not_in_environment(backend: str, environment: str = "") -> str:
    """What to do where an environment has been asked and lacks a backend; empty if it was not."""
    name = environment or backend
    config = plugins().offer_of(name)
    if not isinstance(config, EnvironmentConfig):
        return ""
    there = ", ".join(plugins().offers(name)) or "none"
    wanted = DISTRIBUTIONS.get(backend, "the distribution that has it")
    return (
        f"the environment {name!r} ({config.description}) has no backend {backend!r}; its "
        f"backends: {there}; install {wanted} there"
    )


def _config(raw: Any) -> EnvironmentConfig | None:
    if raw is None or isinstance(raw, EnvironmentConfig):
        return raw
    try:
        return EnvironmentConfig.model_validate(raw)
    except ValidationError:
        return None


def _spec(name: str, config: EnvironmentConfig, found: BackendDescription) -> BackendElsewhere:
    from llem_core.elsewhere.model import section_model  # see above

    def create(workload: Workload) -> Backend:
        del workload
        raise PluginError(
            f"the backend {found.name!r} is installed in the environment {name!r} "
            f"({config.description}) and not here; an experiment with it runs there"
        )

    def check(workload: Workload) -> CheckReport:
        del workload  # the environment itself is asked: see llem_core.study.elsewhere
        return CheckReport()

    return BackendElsewhere(
        name=found.name,
        summary=found.summary,
        section=section_model(found.name, found.json_schema, found.defaults),
        create=create,
        check=check,
        availability=lambda: Availability(True, f"in the environment {name!r}"),
        environment=name,
        owner=found.owner,
    )
