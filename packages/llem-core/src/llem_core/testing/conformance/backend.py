"""The conformance kit of backends: what it needs to know, and the rules of their life."""

from __future__ import annotations

import contextlib
from typing import Any, ClassVar

from llem_core.contracts import (
    BackendSection,
    BackendSpec,
    CheckReport,
    DecoderConfig,
    InferenceBackend,
    Workload,
)
from llem_core.errors import BackendError, ConfigError, OutOfMemoryError
from llem_core.measure.drive.served import as_batches
from llem_core.testing.conformance.backend_life import Life, live
from llem_core.testing.conformance.rules import breach, describe, rule, skip
from llem_core.testing.conformance.section import SectionRules
from llem_core.testing.conformance.watch import Watched, watch


class BackendLife(SectionRules[BackendSpec]):
    """The life cycle of a backend.

    Attributes:
        model: a model that loads here in seconds.
        missing_model: one that cannot be loaded; ``None`` for a backend that takes any name.
        max_input_tokens, max_output_tokens: limits of the workload.
    """

    model: ClassVar[str] = "any"
    missing_model: ClassVar[str | None] = "./no-such-model"
    max_input_tokens: ClassVar[int] = 32
    max_output_tokens: ClassVar[int] = 6

    _kind = BackendSpec
    _hook = "llem_backends"
    _offers = "backends"
    _recorded: ClassVar[tuple[Watched, Life | BaseException | str]]

    def workload(self, **changes: Any) -> Workload:
        """The workload that the backend is tried with, with some fields changed."""
        section = self.make_section()
        assert isinstance(section, BackendSection)
        fields: dict[str, Any] = {
            "model": self.model,
            "precision": "auto",
            "max_input_tokens": self.max_input_tokens,
            "max_output_tokens": self.max_output_tokens,
            "random_seed": 42,
            "decoder": DecoderConfig(),
            "section": section,
        }
        return Workload(**(fields | changes))

    def watched(self) -> Watched:
        """What a whole life did to the process."""
        return self._record()[0]

    def life(self) -> Life:
        """The recorded life; rules that need one are skipped where there is none."""
        life = self._record()[1]
        if isinstance(life, BaseException):
            skip("B2 life-cycle is broken; mend that first")
        if isinstance(life, str):
            skip(life)
        return life

    def _record(self) -> tuple[Watched, Life | BaseException | str]:
        own = type(self)
        if "_recorded" not in vars(own):
            life: Life | BaseException | str
            spec, workload = self.the_spec(), self.workload()
            with self.surroundings(), watch() as watched:
                try:
                    available = spec.availability()
                    spec.check(workload)
                    life = live(spec, workload) if available.usable else _unusable(available.reason)
                except (Exception, SystemExit) as error:  # noqa: BLE001 - a rule tells of it
                    life = error
            own._recorded = (watched, life)
        return own._recorded

    def _usable(self) -> BackendSpec:
        spec = self.the_spec()
        available = spec.availability()
        if not available.usable:
            skip(_unusable(available.reason))
        return spec

    def _missing(self) -> Workload:
        if self.missing_model is None:
            skip("missing_model is None: the backend takes any name for a model")
        return self.workload(model=self.missing_model)

    @rule("B1", "constructor-remembers", "move the work of the constructor into `load`.")
    def test_b1_constructor_remembers(self) -> None:
        """The constructor only remembers its workload; even a model that cannot be loaded is no
        error there.

        The harness measures idle power before the load; what the constructor has loaded would be
        in it.
        """
        spec = self._usable()
        name = self.missing_model or self.model
        with self.surroundings(), watch() as watched:
            backend = spec.create(self.workload(model=name))
        started = [*watched.threads, *watched.children]
        if started:
            breach(f"the constructor started {', '.join(started)}")
        if backend.workload.model != name:
            breach("`workload` is not what the constructor was given")

    @rule("B2", "life-cycle", "follow the order in the docstring of InferenceBackend.")
    def test_b2_life_cycle(self) -> None:
        """`load`, `prepare`, `generate`, `synchronise`, `collect`, `memory` and `unload`, in this
        order, each give what the contract says.

        It is what the harness does; a backend that gets no further has no results.
        """
        life = self._record()[1]
        if isinstance(life, str):
            skip(life)
        if isinstance(life, BaseException):
            raise life

    @rule("B3", "unload-twice", "return at once where there is nothing left to free.")
    def test_b3_unload_twice(self) -> None:
        """`unload` may be called again, and does nothing then.

        The harness unloads when it has measured, and again when it cleans up.
        """
        self.life()
        with self.surroundings():
            backend = self.the_spec().create(self.workload())
            backend.load()
            backend.unload()
            try:
                backend.unload()
            except Exception as error:  # noqa: BLE001 - a backend may raise anything
                breach_from("the second `unload`", error)

    @rule("B4", "unload-before-load", "return at once where nothing has been loaded.")
    def test_b4_unload_before_load(self) -> None:
        """`unload` may be called before `load`.

        An experiment that is interrupted early is cleaned up like every other.
        """
        spec = self._usable()
        with self.surroundings():
            spec.create(self.workload()).unload()

    @rule("B5", "unload-after-failure", "have `unload` free whatever there is, also half a model.")
    def test_b5_unload_after_failure(self) -> None:
        """`unload` may be called after `load` failed.

        An error in it would hide the one that matters.
        """
        with self.surroundings():
            backend = self._unloadable()
            try:
                backend.load()
            except Exception:  # noqa: BLE001 - B6 judges it
                backend.unload()

    @rule("B6", "load-error", "raise BackendError, and name the model and what to do.")
    def test_b6_load_error(self) -> None:
        """A model that cannot be loaded is a `BackendError` whose message names the model.

        Any other exception is shown to users as a mistake in the program; the message is all
        that they see of it.
        """
        error = self._load_error()
        if not isinstance(error, BackendError):
            breach_from(f"`load` of {self.missing_model!r}", error)
        if isinstance(error, OutOfMemoryError):
            breach(f"a missing model is an OutOfMemoryError: {error}")
        if str(self.missing_model) not in str(error):
            breach(f"the message does not name the model {self.missing_model!r}: {error}")

    @rule("B7", "error-cause", "write `raise BackendError(...) from error`.")
    def test_b7_error_cause(self) -> None:
        """A `BackendError` that stands for an engine's exception has it as its cause.

        `--verbose` shows it, and without it nobody can tell what happened.
        """
        error = self._load_error()
        if not isinstance(error, BackendError):
            skip("B6 load-error is broken; mend that first")
        if error.__cause__ is None and error.__context__ is not None:
            breach(f"the cause of {str(error)!r} is lost: {describe(error.__context__)}")

    @rule("B8", "check-report", "return a CheckReport; put what is wrong into `problems`.")
    def test_b8_check_report(self) -> None:
        """`check` gives a `CheckReport` without a problem for a workload that runs, and raises
        nothing but `ConfigError` for one that cannot.

        A dry run and the preflight of a study show all of its problems at once.
        """
        spec = self._usable()
        with self.surroundings():
            _judge(spec.check(self.workload()))
            if self.missing_model is not None:
                try:
                    report = spec.check(self._missing())
                except ConfigError:
                    return
                if not isinstance(report, CheckReport):
                    breach(f"it returned {type(report).__name__}")

    def _load_error(self) -> BaseException:
        with self.surroundings():
            backend = self._unloadable()
            try:
                backend.load()
            except Exception as error:  # noqa: BLE001 - the rules judge it
                return error
            finally:
                with contextlib.suppress(Exception):  # B5 judges it
                    backend.unload()
        return breach(f"`load` of the model {self.missing_model!r} succeeded")

    def _unloadable(self) -> InferenceBackend:
        spec, workload = self._usable(), self._missing()
        try:
            return as_batches(spec.create(workload))
        except Exception:  # noqa: BLE001 - B1 judges it
            skip("B1 constructor-remembers is broken; mend that first")


def breach_from(what: str, error: BaseException) -> None:
    """A breach that has an exception of the plugin as its cause."""
    try:
        breach(f"{what}: {describe(error)}")
    except Exception as found:
        raise found from error


def _judge(report: object) -> None:
    if not isinstance(report, CheckReport):
        breach(f"it returned {type(report).__name__}")
    if report.problems:
        breach(f"the workload has problems: {'; '.join(map(str, report.problems))}")
    if report.device_kind not in {"cpu", "gpu"}:
        breach(f"device_kind is {report.device_kind!r}")
    for name in ("memory_estimate_bytes", "memory_available_bytes"):
        size = getattr(report, name)
        if size is not None and not (isinstance(size, int) and size > 0):
            breach(f"{name} is {size!r}, not a number of bytes")


def _unusable(reason: str) -> str:
    return f"it cannot be used here: {reason}"
