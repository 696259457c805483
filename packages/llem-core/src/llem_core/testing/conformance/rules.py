"""Rules of the plugin contracts: their names, their checks, and how a breach is told.

A rule is a method of a contract class, decorated with ``rule``; its docstring is the rule's
paragraph of docs/plugins/conformance.md, which is generated from it.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, TypeVar
from unittest import SkipTest  # pytest takes it for its own, and the kit needs no pytest

from llem_core.errors import LLEMError

PAGE = "docs/plugins/conformance.md"
_MARK = "__llem_rule__"

CheckT = TypeVar("CheckT", bound=Callable[[Any], None])


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that a plugin keeps.

    Attributes:
        code: its stable name, such as ``B6``: a letter for the contract and a number.
        title: what it is about, in words joined by hyphens.
        says: what the plugin has to do, and why.
        mend: how to mend a breach.
    """

    code: str
    title: str
    says: str
    mend: str

    @property
    def name(self) -> str:
        """Code and title, as in ``B6 unload-twice``: the heading of its paragraph."""
        return f"{self.code} {self.title}"

    @property
    def paragraph(self) -> str:
        """Where it is explained."""
        return f"{PAGE}#{self.code.lower()}-{self.title}"


class ContractError(AssertionError):
    """A plugin breaks a rule; the message names the rule, the breach and the paragraph."""

    def __init__(self, rule: Rule, breach: str) -> None:
        super().__init__(
            f"{rule.name}: {breach.rstrip('.')}. To mend it: {rule.mend} See {rule.paragraph}"
        )
        self.rule = rule


class BreachError(LLEMError):
    """What a check found; becomes a ``ContractError`` that names its rule."""


class KitMisuseError(TypeError):
    """A contract class is set up wrongly; says nothing of the plugin."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one check.

    Attributes:
        rule: the rule.
        state: ``passed``, ``failed``, or ``skipped`` where it could not be checked here.
        message: the breach, or why it was skipped; empty where it passed.
    """

    rule: Rule
    state: Literal["passed", "failed", "skipped"]
    message: str = ""


def breach(message: str) -> NoReturn:
    """End a check: the plugin breaks its rule, in the way that the message says."""
    raise BreachError(message)


def skip(reason: str) -> NoReturn:
    """End a check that cannot be made here; pytest and unittest show it as skipped."""
    raise SkipTest(reason)


def rule(code: str, title: str, mend: str) -> Callable[[CheckT], CheckT]:
    """Make a check of a method: whatever it raises, but a skip, is a breach of this rule.

    Args:
        code, title, mend: see ``Rule``; what it says is the method's docstring.
    """

    def decorate(check: CheckT) -> CheckT:
        described = Rule(code, title, inspect.cleandoc(check.__doc__ or ""), mend)

        @functools.wraps(check)
        def wrapper(self: Any) -> None:
            __tracebackhide__ = True
            try:
                check(self)
            except BreachError as found:
                raise ContractError(described, str(found)) from found.__cause__
            except (SkipTest, KitMisuseError):
                raise
            # A plugin is foreign code and may raise anything, SystemExit too.
            except (Exception, SystemExit) as error:
                raise ContractError(described, describe(error)) from error

        setattr(wrapper, _MARK, described)
        return wrapper  # type: ignore[return-value]

    return decorate


def describe(error: BaseException) -> str:
    """Name and message of an exception."""
    return f"{type(error).__name__} was raised: {error}"


def checks_of(contract: type) -> Iterator[tuple[str, Rule]]:
    """Name of the method and rule of every check of a contract class, by code."""
    found = []
    for name, member in inspect.getmembers(contract):
        described = getattr(member, _MARK, None)
        if isinstance(described, Rule):
            found.append((name, described))
    return iter(sorted(found, key=lambda pair: (pair[1].code[0], int(pair[1].code[1:]))))


def run_contract(contract: type) -> dict[str, Outcome]:
    """Make all checks of a contract class without pytest, for a script or another harness.

    Args:
        contract: a subclass of a contract class such as ``BackendContract``, with its ``spec`` or
            ``plugin``.

    Returns:
        What became of each check, by the code of its rule.

    Example::

        class Check(BackendContract):
            spec = scripted_backend()
            missing_model = None  # it takes any name

        assert all(outcome.state != "failed" for outcome in run_contract(Check).values())
    """
    outcomes = {}
    for name, described in checks_of(contract):
        try:
            getattr(contract(), name)()
            outcomes[described.code] = Outcome(described, "passed")
        except ContractError as violation:
            outcomes[described.code] = Outcome(described, "failed", str(violation))
        except SkipTest as skipped:
            outcomes[described.code] = Outcome(described, "skipped", str(skipped))
    return outcomes
