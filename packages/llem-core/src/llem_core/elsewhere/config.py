"""An environment: an entry of ``environments`` in an experiment or study file.

It stands here and not in ``llem_core.config``, since experiments are validated with what
environments tell.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from llem_core.contracts.config import StrictModel
from llem_core.files import user_path
from llem_core.text import is_secret

Engine = Literal["docker", "podman"]
Gpus = Literal["all"] | Annotated[int, Field(strict=True, ge=1)] | tuple[str, ...] | None
_CONTAINER_ONLY = (
    *("engine", "gpus", "mounts", "network", "memory_gib", "shm_gib"),
    *("engine_arguments", "run_arguments"),
)
_MODES = frozenset({"ro", "rw"})


@dataclass(frozen=True, slots=True)
class Mount:
    """A folder or file of this machine that a container sees.

    Attributes:
        path: here, absolute.
        target: in the container, absolute.
        read_only: whether the container may only read it.
    """

    path: Path
    target: str
    read_only: bool

    @classmethod
    def read(cls, text: str) -> Mount:
        """Read ``/here``, ``/here:/there`` or ``/here:/there:ro``.

        Raises:
            ValueError: it is none of these.
        """
        source, *rest = text.split(":")
        if not source or len(rest) > 2 or (len(rest) == 2 and rest[1] not in _MODES):
            raise ValueError(f"{text!r:.80} is no mount; write `/here:/there` or `/here:/there:ro`")
        path = user_path(source).absolute()
        target = rest[0] if rest else str(path)
        if not target.startswith("/"):
            raise ValueError(f"the path in the container must be absolute, not {target!r:.80}")
        return cls(path, target, rest[1:] == ["ro"])


def _is_mount(text: str) -> str:
    Mount.read(text)
    return text


class EnvironmentConfig(StrictModel):
    """Where experiments run that this environment cannot run: a Python, or a container image.

    A plain string stands for ``{python: <string>}``.
    """

    python: str | None = Field(
        None,
        min_length=1,
        description="Path of the interpreter, such as `/opt/venvs/vllm/bin/python`, or its name on "
        "the PATH; with `image`, the one in the image (`python3` if not given).",
    )
    image: str | None = Field(
        None, min_length=1, description="Container image, by name, tag, digest or id."
    )
    engine: Engine = Field("docker", description="Program that runs the container.")
    gpus: Gpus = Field(
        None,
        description="GPUs that the container sees: `all`, a number of them, or a list of UUIDs; "
        "null for none. They are handed over by UUID.",
    )
    mounts: tuple[Annotated[str, AfterValidator(_is_mount)], ...] = Field(
        (),
        description="Folders that the container sees beside the study's own: `/here:/there` or "
        "`/here:/there:ro`.",
    )
    network: str = Field(
        "none", min_length=1, description="Network of the container: `none`, `host`, or a name."
    )
    memory_gib: float | None = Field(
        None, gt=0, description="Limit of the container's memory (GiB); null for none."
    )
    shm_gib: float = Field(
        8.0, gt=0, description="Size of the container's shared memory at the most (GiB)."
    )
    variables: dict[str, str | None] = Field(
        default_factory=dict,
        description="Environment variables that are set there; null hands on this one's value, "
        "which is the way for a token.",
    )
    engine_arguments: tuple[str, ...] = Field(
        (), description="Arguments of the engine before its command, such as `--runtime=runc`."
    )
    run_arguments: tuple[str, ...] = Field(
        (), description="Arguments of the engine's `run`, such as `--ulimit=nofile=4096`."
    )

    @model_validator(mode="before")
    @classmethod
    def _from_shorthand(cls, value: Any) -> Any:
        return {"python": value} if isinstance(value, str) else value

    @field_validator("variables")
    @classmethod
    def _holds_no_secret(cls, variables: dict[str, str | None]) -> dict[str, str | None]:
        written = [name for name, text in variables.items() if text and is_secret(name)]
        if written:
            raise ValueError(
                f"{', '.join(written)} would stand in files as it is; write `{written[0]}: null`, "
                "which hands on the value of your own environment"
            )
        return variables

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if self.python is None and self.image is None:
            raise ValueError(
                "an environment needs `python` (the path of an interpreter) or `image` (a "
                "container image); give one of them"
            )
        fields = type(self).model_fields
        given = [n for n in _CONTAINER_ONLY if getattr(self, n) != fields[n].default]
        if self.image is None and given:
            raise ValueError(f"{', '.join(given)} would have no effect without `image`")
        return self

    @property
    def seen(self) -> tuple[Mount, ...]:
        """``mounts``, read."""
        return tuple(map(Mount.read, self.mounts))

    @property
    def description(self) -> str:
        """What it is, for a message."""
        return f"{self.engine} image {self.image}" if self.image is not None else str(self.python)
