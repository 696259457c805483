"""The rules of a plugin's section and of what it says of its availability."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from llem_core.contracts import Availability, DomainKind, Section
from llem_core.testing.conformance.plugin import PluginContract, SpecT
from llem_core.testing.conformance.rules import breach, rule, skip

_LONGEST_REASON = 400


class SectionRules(PluginContract[SpecT]):
    """What a section keeps to."""

    def _section(self) -> Section:
        section = self.make_section()
        if section is None:
            skip("it has no section")
        return section

    @rule("P4", "section-described", "give every field a description, with its unit.")
    def test_p4_section_described(self) -> None:
        """Every field of the section has a description, and the section has a JSON schema.

        The reference pages, `llem config --schema` and the completion of editors are made of
        them.
        """
        kind = type(self._section())
        kind.model_json_schema()
        silent = [
            f"{model.__name__}.{name}"
            for model in _models(kind)
            for name, field in model.model_fields.items()
            if not (field.description or "").strip()
        ]
        if silent:
            breach(f"no description: {', '.join(silent)}")

    @rule(
        "P5",
        "section-round-trip",
        "let validators accept what they made, and JSON its form.",
    )
    def test_p5_section_round_trip(self) -> None:
        """The section is the same again after it was written as JSON and read back.

        So it travels to the worker of a study and into `effective_config`, and it is what the
        configuration's hash is made of.
        """
        section = self._section()
        text = section.model_dump_json()
        again = type(section).model_validate_json(text)
        if again != section:
            breach(f"{section!r} came back as {again!r}")
        if type(section).model_validate(json.loads(text)) != section:
            breach("it comes back another from `json.loads`, as a list for a tuple")

    @rule("P6", "section-strict", "derive it from Section, and leave its configuration alone.")
    def test_p6_section_strict(self) -> None:
        """An unknown key is an error, and a section that was made cannot be changed.

        A mistyped key that is silently ignored is a measurement of something else.
        """
        section = self._section()
        try:
            type(section).model_validate({**self.section, "no_such_key_of_llem": 1})
        except ValidationError:
            pass
        else:
            breach("it accepts the key no_such_key_of_llem")
        if not type(section).model_config.get("frozen"):
            breach("it is not frozen")

    @rule(
        "P7",
        "availability-told",
        "look for files, versions and devices only, catch what that raises, and say it in words.",
    )
    def test_p7_availability_told(self) -> None:
        """`availability` answers at once, raises nothing, and says why in one short sentence.

        The reason is what `llem config` shows; where the plugin cannot be used, it says what is
        missing. It is asked before every run, so it must be quick; the best of three counts.
        """
        ask = getattr(self.the_spec(), "availability", None)
        if ask is None:
            skip("a sink has no availability")
        spent_s = []
        for _ in range(3):
            started_s = time.monotonic()
            with self.surroundings():
                answer = ask()
            _judge(answer)
            spent_s.append(time.monotonic() - started_s)
            if spent_s[-1] <= self.availability_limit_s:
                return
        breach(f"it took {min(spent_s):.1f} s; {self.availability_limit_s:g} s are allowed")


def _judge(answer: Any) -> None:
    if not isinstance(answer, Availability):
        breach(f"it returned {type(answer).__name__}, not an Availability")
    reason = answer.reason
    if not isinstance(answer.usable, bool):
        breach(f"usable is {answer.usable!r}, neither True nor False")
    if not isinstance(reason, str) or not reason.strip():
        breach("the reason is empty")
    if "\n" in reason.strip() or len(reason) > _LONGEST_REASON:
        breach(f"the reason is no sentence: {len(reason)} characters, or several lines")
    unknown = sorted(set(answer.domains) - set(get_args(DomainKind)))
    if unknown:
        breach(f"domains has {', '.join(unknown)}, which are no kinds of domain")


def _models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """The model and all models in its fields."""
    seen: list[type[BaseModel]] = []
    queue = [model]
    while queue:
        current = queue.pop()
        if current in seen:
            continue
        seen.append(current)
        yield current
        for field in current.model_fields.values():
            queue += _nested(field.annotation)


def _nested(annotation: Any) -> list[type[BaseModel]]:
    found = (
        [annotation] if isinstance(annotation, type) and issubclass(annotation, BaseModel) else []
    )
    for argument in get_args(annotation):
        found += _nested(argument)
    return found
