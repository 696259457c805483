"""Configuration that a plugin owns: its section in the experiment file."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Base of a plugin's section: the mapping under the plugin's name in an experiment file.

    Give every field a ``description`` that has its unit; it becomes the reference page.
    Unknown keys are errors. Importing the module of a section must stay cheap: no torch,
    no vendor library.

    Example::

        from pydantic import Field
        from llem_core.contracts import Section

        class MeterConfig(Section):
            path: str = Field("/run/meter", description="File the meter writes watts to.")
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        # A default written as 0 in a float field must hash like the 0.0 of a user's file.
        validate_default=True,
        # Most sections of the installed plugins are not used in a run; building one takes time.
        defer_build=True,
        protected_namespaces=(),
    )


class BackendSection(Section):
    """Base of a backend's section.

    A user may also write a shared inference field here (``precision``,
    ``max_output_tokens`` and the others in ``SHARED_FIELDS``): the core moves it to the top
    of the experiment before this model sees the section, so a backend reads such a value from
    its ``Workload`` and never declares it.
    """

    SHARED_FIELDS: ClassVar[frozenset[str]] = frozenset(
        {
            "precision",
            "n",
            "max_input_tokens",
            "max_output_tokens",
            "random_seed",
            "decoder",
            "lora",
            "passthrough_kwargs",
        }
    )

    def process_count(self) -> int:
        """How many data-parallel processes this section asks for (1: run in this one).

        The core starts them, gives each its share of the prompts, and keeps their raw
        results apart until they are aggregated.
        """
        return 1
