"""How a study is run: ``execution`` in a study file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    SerializeAsAny,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from llem_core.contracts.config import Section, StrictModel
from llem_core.plugins import plugins
from llem_core.text import nearest

if TYPE_CHECKING:
    from llem_core.contracts.messages import Resources

CycleOrder = Literal["sequential", "interleaved", "shuffled"]
DEFAULT_LAUNCHER = "local"


class ResourcesConfig(StrictModel):
    """What a run asks of a launcher; ``null`` leaves it to the launcher."""

    gpus: Annotated[int, Field(strict=True, ge=0)] | None = Field(
        None, description="GPUs of a run; null leaves it to the launcher."
    )
    cpus: Annotated[int, Field(strict=True, ge=1)] | None = Field(
        None, description="CPU cores of a run; null leaves it to the launcher."
    )
    memory_gib: float | None = Field(
        None, gt=0, description="Memory of a run (GiB); null leaves it to the launcher."
    )


@dataclass(frozen=True, slots=True)
class _Marked:
    """The value of a key that is no field; ``_bind`` makes a section or an error of it."""

    name: str
    value: Any


def _bind(marked: Any) -> Section:
    if isinstance(marked, Section):
        return marked
    known = plugins().launchers
    if marked.name not in known:
        names = [*ExecutionConfig.model_fields, *known.names()]
        near = nearest(marked.name, names)
        hint = f"did you mean {near!r}?" if near else f"valid keys: {', '.join(names)}"
        raise PydanticCustomError("unknown_key", "{message}", {"message": f"unknown key; {hint}"})
    owner = known.get(marked.name).section
    if owner is None:
        message = f"the launcher {marked.name!r} has nothing to set; remove the key"
        raise PydanticCustomError("unknown_key", "{message}", {"message": message})
    return owner.model_validate({} if marked.value is None else marked.value)


class ExecutionConfig(StrictModel):
    """How a study is run. Nothing here enters ``study_design_hash``.

    Beside the fields below it may have a section for each launcher, named as the launcher and
    validated by the plugin's own model.
    """

    # Extras are the launchers' sections; `_bind` refuses every other key.
    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Annotated[SerializeAsAny[Section], BeforeValidator(_bind)]]

    n_cycles: Annotated[int, Field(strict=True, ge=1, le=10_000)] = Field(
        1, description="Repetitions of every experiment."
    )
    cycle_order: CycleOrder = Field(
        "sequential",
        description="`sequential` repeats an experiment before the next one, `interleaved` goes "
        "round-robin through all of them, `shuffled` draws another order in each cycle, seeded by "
        "the study's design.",
    )
    config_gap_seconds: float = Field(
        60.0, ge=0, le=86_400, description="Pause between two experiments of a cycle (s)."
    )
    cycle_gap_seconds: float = Field(
        300.0, ge=0, le=86_400, description="Pause between two cycles, in place of the other (s)."
    )
    experiment_timeout_seconds: float = Field(
        7200.0,
        gt=0,
        le=31_536_000,
        description="An experiment that runs longer is killed with all that it started (s); time "
        "in a queue does not count.",
    )
    max_experiments: Annotated[int, Field(strict=True, ge=1)] = Field(
        100,
        description="A study of more runs (configurations × cycles) has to be confirmed first.",
    )
    block: Literal["node", "none"] | None = Field(
        None,
        description="`node` keeps each cycle whole on one node, so that configurations are "
        "compared on the same one; `none` does not. By default `node` where the launcher has more "
        "than one slot and the study more than one cycle.",
    )
    retries: Annotated[int, Field(strict=True, ge=0, le=100)] | None = Field(
        None,
        description="How often a run is tried again that failed for a reason which may not be "
        "there next time: its node was lost, it was preempted, killed from outside, or out of "
        "time. By default 0 on this machine and 1 on a cluster.",
    )
    launcher: str = Field(
        DEFAULT_LAUNCHER,
        description="What gives each run its process; `local` is a fresh process of this machine. "
        "A study file may have it at its top level, too.",
    )
    resources: ResourcesConfig = Field(
        default_factory=ResourcesConfig, description="What each run asks of the launcher."
    )

    @model_validator(mode="before")
    @classmethod
    def _mark(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        fields = cls.model_fields
        return {
            key: value if key in fields or isinstance(value, Section) else _Marked(key, value)
            for key, value in data.items()
        }

    @field_validator("launcher")
    @classmethod
    def _launcher_is_installed(cls, name: str) -> str:
        if name != DEFAULT_LAUNCHER and name not in plugins().launchers:
            message = plugins().launchers.unknown(name)
            raise PydanticCustomError("unknown_key", "{message}", {"message": message})
        return name

    @property
    def launcher_section(self) -> Section | None:
        """The section of the chosen launcher; with its defaults where the file has none."""
        found = (self.__pydantic_extra__ or {}).get(self.launcher)
        owner = plugins().launchers.get(self.launcher).section
        return found if found is not None or owner is None else owner()

    @property
    def asked_resources(self) -> Resources:
        """What each run asks of the launcher, its time limit among it."""
        from llem_core.contracts.messages import Resources

        asked = self.resources
        gib = asked.memory_gib
        return Resources(
            gpus=asked.gpus,
            cpus=asked.cpus,
            memory_bytes=None if gib is None else int(gib * 2**30),
            running_seconds=self.experiment_timeout_seconds,
        )
