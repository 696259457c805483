"""The rules that every plugin keeps, whatever it offers."""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Generic, TypeVar

from llem_core.contracts import BackendSpec, LauncherSpec, SamplerSpec, Section, SinkSpec
from llem_core.contracts.hookspecs import CONTRACT_VERSION
from llem_core.plugins import Plugins
from llem_core.testing.conformance.fresh import Import, import_fresh
from llem_core.testing.conformance.rules import KitMisuseError, breach, rule, skip
from llem_core.testing.conformance.watch import Watched
from llem_core.testing.plugin import FakePlugin

SpecT = TypeVar("SpecT", BackendSpec, SamplerSpec, SinkSpec, LauncherSpec)

HEAVY = frozenset(
    {
        *("torch", "transformers", "tensorflow", "jax", "vllm", "tensorrt_llm", "onnxruntime"),
        *("llama_cpp", "openvino", "accelerate", "datasets", "numpy", "scipy", "pandas"),
        *("pyarrow", "sklearn", "matplotlib", "pynvml", "amdsmi", "zeus", "codecarbon"),
    }
)
"""Engines and libraries that cost more to import than the whole core."""


class PluginContract(ABC, Generic[SpecT]):
    """Base of all contract classes.

    Give ``spec``, or ``plugin`` and, where it offers several, ``name``. With ``plugin`` the
    module that the entry point names is checked too.

    Attributes:
        spec: what is checked, or a function that makes it.
        plugin: the module that the entry point names, or its dotted name.
        name: which of the plugin's specs.
        section: keys of the plugin's section in an experiment file.
        may_import: top-level modules out of ``HEAVY`` that its hook module may import.
        may_set: environment variables that its engine sets for itself.
        import_ratio: CPU time of importing it, over that of Python and the core.
        availability_limit_s: how long ``availability`` may take, in seconds.
    """

    spec: ClassVar[Any] = None
    plugin: ClassVar[Any] = None
    name: ClassVar[str | None] = None
    section: ClassVar[Mapping[str, Any]] = {}
    may_set: ClassVar[frozenset[str]] = frozenset()
    may_import: ClassVar[frozenset[str]] = frozenset()
    import_ratio: ClassVar[float] = 1.0
    availability_limit_s: ClassVar[float] = 2.0

    _kind: ClassVar[type[Any]]
    _hook: ClassVar[str]
    _offers: ClassVar[str]

    @abstractmethod
    def watched(self) -> Watched:
        """What a whole life of the plugin did to the process."""

    def surroundings(self) -> AbstractContextManager[object]:
        """What the plugin runs within, such as a simulated device; nothing by default."""
        return contextlib.nullcontext()

    def the_spec(self) -> SpecT:
        """The spec that is checked."""
        given = inspect.getattr_static(type(self), "spec", None)
        if isinstance(given, staticmethod):
            given = given.__func__
        if given is None:
            return self._offered()
        if isinstance(given, self._kind) or not callable(given):
            return given  # type: ignore[no-any-return]
        return given(self) if inspect.signature(given).parameters else given()  # type: ignore[no-any-return]

    def make_section(self) -> Section | None:
        """The plugin's section, made of ``section``; ``None`` where it has none."""
        kind = self.the_spec().section
        return None if kind is None else kind.model_validate(dict(self.section))

    def hook_module(self) -> ModuleType | object | None:
        """The object that the entry point names, as far as it is known."""
        if isinstance(self.plugin, str):
            return importlib.import_module(self.plugin)
        return self.plugin

    @rule(
        "P1",
        "registers",
        "do what the message says; `llem config` shows the same reason to your users.",
    )
    def test_p1_registers(self) -> None:
        """The core accepts the plugin: specs of the right type, with a name that is free.

        A plugin that the core refuses is listed under `Broken plugins` by `llem config`, and is
        of no use to anybody.
        """
        hooks = self.hook_module()
        if hooks is None:
            offered: dict[str, Any] = {self._offers: [self.the_spec()]}
            hooks = FakePlugin(**offered)
        with self.surroundings():
            Plugins().register(hooks)

    @rule(
        "P2",
        "contract-declared",
        f"write `LLEM_CONTRACT = {CONTRACT_VERSION}` into the module that the entry point names.",
    )
    def test_p2_contract_declared(self) -> None:
        """The module that the entry point names says which contract it was written for.

        The core refuses a plugin of another contract by name, where it would fail in the middle
        of a measurement otherwise.
        """
        hooks = self.hook_module()
        if hooks is None:
            skip("set `plugin` to the module that the entry point names")
        declared = getattr(hooks, "LLEM_CONTRACT", None)
        if declared != CONTRACT_VERSION:
            breach(f"LLEM_CONTRACT is {declared!r}")

    @rule("P3", "summary-told", "write one line on what it runs, measures or writes.")
    def test_p3_summary_told(self) -> None:
        """The summary is one line of at most 120 characters that a person understands.

        It is what users see of the plugin in listings.
        """
        summary = self.the_spec().summary
        if not isinstance(summary, str) or not summary.strip():
            breach("the summary is empty")
        if "\n" in summary or len(summary) > 120:
            breach(f"the summary has {len(summary)} characters, or more than one line")

    @rule(
        "P8",
        "import-light",
        "import engines and vendor libraries in the functions that need them.",
    )
    def test_p8_import_light(self) -> None:
        """Importing the hook module and calling its hooks loads no engine and takes little time.

        Every process that looks at plugins does so, `llem config` and each worker of a study
        among them. Observations is CPU time in a fresh interpreter, against that of Python and the
        core, and the best of three.
        """
        found = self._imported()
        if found.error:
            breach(f"it does not import in a fresh interpreter: {found.error}")
        heavy = sorted((found.packages & HEAVY) - self.may_import)
        if heavy:
            breach(f"importing it imports {', '.join(heavy)}")
        for _ in range(2):
            if found.spent_s <= self.import_ratio * found.base_s:
                return
            found = min(found, _import(self._modules()), key=lambda each: each.spent_s)
        if found.spent_s > self.import_ratio * found.base_s:
            breach(
                f"importing it takes {found.spent_s:.2f} s of CPU time; Python and the core take "
                f"{found.base_s:.2f} s, and {self.import_ratio:g} times that is allowed"
            )

    @rule(
        "P9",
        "silent",
        "send remarks to notes or warnings of the contract, and catch what a library prints.",
    )
    def test_p9_silent(self) -> None:
        """Nothing is printed: neither at import nor in use, by Python, C code or a child.

        stdout belongs to the result, which other programs read, and stderr to the progress
        display.
        """
        modules = self._modules()
        printed = _import_once(tuple(modules)).printed if modules else ""
        printed += self.watched().printed
        if printed:
            breach(f"this was printed: {printed.strip()[:200]!r}")

    @rule("P10", "threads-ended", "stop and join every thread in `unload` or `stop`.")
    def test_p10_threads_ended(self) -> None:
        """No thread is left when it is done.

        A thread that goes on takes time and power from the next measurement in this process.
        """
        left = self.watched().threads
        if left:
            breach(f"these threads go on: {', '.join(left)}")

    @rule(
        "P11", "processes-ended", "end every child process in `unload` or `stop`, and wait for it."
    )
    def test_p11_processes_ended(self) -> None:
        """No child process is left when it is done, nor a dead one that nobody waited for.

        It would hold memory of the device, and be measured with the next experiment.
        """
        left = self.watched().children
        if left:
            breach(f"these child processes are left: {', '.join(left)}")

    @rule(
        "P12", "process-untouched", "give settings to the engine itself, or restore what was there."
    )
    def test_p12_process_untouched(self) -> None:
        """Signal handlers, environment variables, the working directory, `sys.path`, the exception
        hook and the root logger's handlers are as they were.

        They belong to the program that the plugin is a guest of: with another handler, Ctrl+C
        no longer ends a study.
        """
        own = {f"the environment variable {name} was set" for name in self.may_set}
        changes = [change for change in self.watched().changes if change not in own]
        if changes:
            breach("; ".join(changes))

    def _offered(self) -> SpecT:
        hooks = self.hook_module()
        if hooks is None:
            raise KitMisuseError(
                f"{type(self).__name__} has neither `spec` nor `plugin`; set spec = "
                f"your {self._kind.__name__}, or plugin = your module with hooks"
            )
        hook: Callable[[], Any] = getattr(hooks, self._hook)
        specs = [spec for spec in hook() if self.name in {None, spec.name}]
        if len(specs) != 1:
            names = ", ".join(spec.name for spec in hook()) or "nothing"
            raise KitMisuseError(
                f"{type(self).__name__}.plugin offers {names}; set `name` to one of them"
            )
        return specs[0]  # type: ignore[no-any-return]

    def _modules(self) -> list[str]:
        hooks = self.hook_module()
        if isinstance(hooks, ModuleType):
            # One that a test made has no file that another interpreter could import.
            return [hooks.__name__] if hooks.__spec__ is not None else []
        spec = self.the_spec()
        found = [
            getattr(spec.create, "__module__", None),
            getattr(spec.section, "__module__", None),
        ]
        return [name for name in dict.fromkeys(found) if name and name != "__main__"]

    def _imported(self) -> Import:
        modules = self._modules()
        found = _import_once(tuple(modules))
        if not modules or (found.not_found and not self.plugin):
            skip("the module of its hooks is not known; set `plugin` to it")
        return found


def _import(modules: Sequence[str]) -> Import:
    with tempfile.TemporaryDirectory() as folder:
        return import_fresh(modules, str(Path(folder) / "report.json"))


_import_once = functools.cache(_import)
