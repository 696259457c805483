"""One experiment: the root of an experiment file."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializeAsAny,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError, to_jsonable_python

from llem_core.config.baseline import BaselineConfig
from llem_core.config.dataset import DatasetConfig
from llem_core.config.energy import EnergyConfig
from llem_core.config.load import LoadConfig
from llem_core.config.sections import DEFAULT_BACKEND, bind, named_environments, resolve
from llem_core.config.warmup import Count, WarmupConfig
from llem_core.contracts.config import (
    BackendSection,
    DecoderConfig,
    LoRAConfig,
    Section,
    StrictModel,
    no_password,
)
from llem_core.contracts.workload import Precision, Workload
from llem_core.elsewhere.config import EnvironmentConfig
from llem_core.elsewhere.offer import not_in_environment, unknown_environment
from llem_core.plugins import plugins
from llem_core.text import canonical_json, is_secret, secret_paths, short_hash

_BoundSection = Annotated[SerializeAsAny[Section], BeforeValidator(bind)]


class ExperimentConfig(StrictModel):
    """One configuration, measured once, in one process.

    Beside the fields below, an experiment has one section per backend, sampler or sink, named
    as the plugin and validated by the plugin's own model; any other key is an error.
    ``measurement_config_hash`` names the resolved configuration.

    Raises:
        pydantic.ValidationError: with the mistakes of the core's fields and of the plugins'
            sections in one list.
    """

    # Extras are the plugins' sections; `resolve` and `bind` refuse every other key.
    model_config = ConfigDict(extra="allow", defer_build=False, protected_namespaces=())
    __pydantic_extra__: dict[str, _BoundSection]

    model: Annotated[str, AfterValidator(no_password)] = Field(
        min_length=1,
        description="Hub id, local path, or `shape:<name>` (a bundled architecture with random "
        "weights).",
    )
    backend: str = Field(DEFAULT_BACKEND, description="Name of the backend that runs the model.")
    precision: Precision = Field(
        "auto", description="dtype of weights and activations; `auto` is the model's own."
    )
    n: Count = Field(100, description="Number of prompts.")
    dataset: DatasetConfig = Field(
        default_factory=DatasetConfig, description="Where prompts come from."
    )
    max_input_tokens: Count = Field(512, description="Longer prompts are cut to this (tokens).")
    max_output_tokens: Count = Field(128, description="Output of a request at the most (tokens).")
    random_seed: Annotated[int, Field(strict=True, ge=0, lt=2**32)] = Field(
        42, description="Seeds random weights, synthetic prompts and sampling."
    )
    decoder: DecoderConfig = Field(
        default_factory=DecoderConfig, description="How tokens are chosen."
    )
    load: LoadConfig = Field(
        default_factory=LoadConfig, description="How requests reach the engine."
    )
    warmup: WarmupConfig = Field(
        default_factory=WarmupConfig, description="Running in before anything is measured."
    )
    baseline: BaselineConfig = Field(default_factory=BaselineConfig, description="Idle power.")
    energy: EnergyConfig = Field(
        default_factory=EnergyConfig, description="How energy is measured."
    )
    lora: LoRAConfig | None = Field(None, description="LoRA adapter on top of the model.")
    passthrough_kwargs: dict[str, Any] = Field(
        default_factory=dict,
        description="Arguments that llem does not know, handed to the engine as they are.",
    )
    environment: str | None = Field(
        None,
        min_length=1,
        description="Environment that it runs in, of those in `environments`; null is this one, "
        "or, for a backend that is not installed here, the environment of the backend's name.",
    )
    environments: dict[str, EnvironmentConfig] = Field(
        default_factory=dict,
        exclude=True,
        description="Environments by name: a Python, or a container image, in which backends are "
        "installed that this environment lacks.",
    )

    @model_validator(mode="before")
    @classmethod
    def _resolve(cls, data: Any) -> Any:
        return resolve(data, _CORE_FIELDS) if isinstance(data, dict) else data

    @model_validator(mode="after")
    def _environment_is_defined(self) -> Self:
        # The process that runs it knows no environments: it is in one.
        if self.environment is None or not self.environments:
            return self
        if self.environment not in self.environments:
            raise ValueError(unknown_environment(self.environment, self.environments))
        if self.backend not in plugins().offers(self.environment):
            raise ValueError(not_in_environment(self.backend, self.environment))
        return self

    @field_validator("environments")
    @classmethod
    def _environments_have_names(
        cls, environments: dict[str, EnvironmentConfig]
    ) -> dict[str, EnvironmentConfig]:
        return named_environments(environments)

    @field_validator("backend")
    @classmethod
    def _backend_is_installed(cls, name: str) -> str:
        if name not in plugins().backends:
            message = not_in_environment(name) or plugins().backends.unknown(name)
            raise PydanticCustomError("unknown_backend", "{message}", {"message": message})
        return name

    @field_validator("energy")
    @classmethod
    def _sampler_is_installed(cls, energy: EnergyConfig) -> EnergyConfig:
        check = energy.check_name
        for name in (*energy.sampler_names, *([check] if check else [])):
            if name not in plugins().samplers:
                message = plugins().samplers.unknown(name)
                raise PydanticCustomError("unknown_sampler", "{message}", {"message": message})
        return energy

    @field_validator("passthrough_kwargs")
    @classmethod
    def _arguments_are_finite(cls, arguments: dict[str, Any]) -> dict[str, Any]:
        if arguments:
            try:
                canonical_json(to_jsonable_python(arguments))
            except ValueError as error:
                raise ValueError(
                    "an argument is no JSON value (nan, infinity, or an object), so that the "
                    "experiment could have no hash; write it as a text or a finite number"
                ) from error
        return arguments

    @model_validator(mode="after")
    def _fields_fit_each_other(self) -> Self:
        fewest = self.decoder.min_new_tokens
        if fewest is not None and fewest > self.max_output_tokens:
            raise ValueError(
                f"decoder.min_new_tokens ({fewest}) is above max_output_tokens "
                f"({self.max_output_tokens}); raise the one or lower the other"
            )
        if self.load.serves and self.energy.phase_energy:
            raise ValueError(
                "energy.phase_energy needs `load.mode: batch`: under a load, prefill and decode of "
                "different requests run at the same time"
            )
        if not self.passthrough_kwargs:
            return self
        own = type(self.section).model_fields
        taken = sorted(
            name for name in self.passthrough_kwargs if name in own or name in _CORE_FIELDS
        )
        if taken:
            raise ValueError(
                f"passthrough_kwargs has {', '.join(taken)}, which llem declares itself; "
                "set the declared field instead"
            )
        return self

    @property
    def sections(self) -> dict[str, Section]:
        """All plugin sections of this experiment by name."""
        return dict(self.__pydantic_extra__ or {})

    @property
    def section(self) -> BackendSection:
        """The section of the chosen backend; always there, with its defaults filled in."""
        section = (self.__pydantic_extra__ or {}).get(self.backend)
        assert isinstance(section, BackendSection)
        return section

    @property
    def secrets(self) -> tuple[str, ...]:
        """Paths of what their keys call a secret: nothing of it is written into a file."""
        fields: dict[str, Any] = {}
        if self.passthrough_kwargs:
            fields["passthrough_kwargs"] = self.passthrough_kwargs
        for name, section in self.sections.items():
            if any(map(is_secret, type(section).model_fields)):
                fields[name] = section.model_dump(mode="json")
        return tuple(secret_paths(fields)) if fields else ()

    @cached_property
    def measurement_config_hash(self) -> str:
        """SHA-256 of the canonical resolved configuration, 16 hexadecimal digits.

        What does not change the measurement stays out: settings that are ``null`` where that
        means the backend's own default, sections of sinks and of other backends, and sections
        that say nothing.
        """
        return short_hash(self.canonical())

    @property
    def runs_in(self) -> str | None:
        """Name of the environment that it runs in; ``None`` for this one."""
        here = self.environment is None and plugins().backends.is_here(self.backend)
        return None if here else self.environment or self.backend

    def canonical(self) -> dict[str, Any]:
        """The fields that ``measurement_config_hash`` is taken over, as JSON types."""
        parts = (self.canonical_part(name) for name in (*_CORE_FIELDS, *self.sections))
        return {name: value for part in parts for name, value in part.items()}

    def canonical_part(self, name: str) -> dict[str, Any]:
        """One key of ``canonical()`` with its value; empty where it stays out."""
        section = (self.__pydantic_extra__ or {}).get(name)
        if name == "environments" or (name == "environment" and self.environment is None):
            return {}  # where an environment lies is not what is measured
        if name == "load":
            return {name: self.load.canonical()} if self.load.serves else {}
        if section is None:
            return {name: to_jsonable_python(getattr(self, name))}
        if name in plugins().sinks:
            return {}
        if name != self.backend:
            unset = not section.model_dump(exclude_defaults=True)
            if unset or name in plugins().backends:
                return {}
        # Pydantic leaves out what is null at every depth; only at the top does it mean a default.
        dumped = section.model_dump(mode="json", exclude_none=True)
        if any(isinstance(value, dict | list) for value in dumped.values()):
            every = section.model_dump(mode="json")
            dumped = {key: value for key, value in every.items() if value is not None}
        return {name: dumped}

    def for_run(self) -> dict[str, Any]:
        """Its fields as JSON types, for the process that runs it, wherever that is.

        Sections of other backends stay out: that environment may not have them.
        """
        others = {n for n in self.sections if n in plugins().backends and n != self.backend}
        return self.model_dump(mode="json", exclude=others)

    def with_hash(self, config_hash: str) -> Self:
        """Spare this configuration the work of finding its hash, which the caller has done."""
        self.__dict__["measurement_config_hash"] = config_hash  # as cached_property keeps it
        return self

    def workload(self, rank: int = 0, world_size: int = 1) -> Workload:
        """This experiment as its backend sees it."""
        return Workload(
            model=self.model,
            precision=self.precision,
            max_input_tokens=self.max_input_tokens,
            max_output_tokens=self.max_output_tokens,
            random_seed=self.random_seed,
            decoder=self.decoder,
            section=self.section,
            lora=self.lora,
            passthrough_kwargs=self.passthrough_kwargs,
            rank=rank,
            world_size=world_size,
            load_mode=self.load.mode,
        )


_CORE_FIELDS = frozenset(ExperimentConfig.model_fields)
