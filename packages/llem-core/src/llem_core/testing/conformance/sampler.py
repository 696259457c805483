"""The conformance kit of samplers: what it needs to know, and the rules of their life."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ClassVar

from llem_core.contracts import Availability, EnergySampler, SamplerSettings, SamplerSpec
from llem_core.errors import EnergyError
from llem_core.testing.conformance.backend import breach_from
from llem_core.testing.conformance.rules import breach, rule, skip
from llem_core.testing.conformance.sampler_life import SamplerLife, live
from llem_core.testing.conformance.section import SectionRules
from llem_core.testing.conformance.watch import Watched, watch


class SamplerLifeRules(SectionRules[SamplerSpec]):
    """The life cycle of a sampler.

    Attributes:
        sample_interval_s: time between two samples of power, in seconds.
        window_s: length of the windows that are tried, in seconds; give a slow meter more.
        clock, wait: monotonic seconds and how to let them pass; a sampler that is simulated
            with a clock of its own gives its own.
    """

    sample_interval_s: ClassVar[float] = 0.02
    window_s: ClassVar[float] = 0.4
    clock: ClassVar[Callable[[], float]] = staticmethod(time.monotonic)
    wait: ClassVar[Callable[[float], None]] = staticmethod(time.sleep)

    _kind = SamplerSpec
    _hook = "llem_samplers"
    _offers = "samplers"
    _recorded: ClassVar[tuple[Watched, SamplerLife | BaseException | str]]

    def create(self) -> EnergySampler:
        """A new sampler of the spec."""
        return self.the_spec().create(SamplerSettings(self.sample_interval_s, self.make_section()))

    def available(self) -> Availability:
        """What the sampler says of itself within its surroundings."""
        with self.surroundings():
            return self.the_spec().availability()

    def watched(self) -> Watched:
        """What a whole life did to the process."""
        return self._record()[0]

    def life(self) -> SamplerLife:
        """The recorded life; rules that need one are skipped where there is none."""
        life = self._record()[1]
        if isinstance(life, BaseException):
            skip("S2 life-cycle is broken; mend that first")
        if isinstance(life, str):
            skip(life)
        return life

    def _record(self) -> tuple[Watched, SamplerLife | BaseException | str]:
        own = type(self)
        if "_recorded" not in vars(own):
            life: SamplerLife | BaseException | str
            with self.surroundings(), watch() as watched:
                try:
                    available = self.the_spec().availability()
                    if available.usable:
                        life = live(self.create(), self.window_s, own.clock, own.wait)
                    else:
                        life = f"it cannot be used here: {available.reason}"
                except (Exception, SystemExit) as error:  # noqa: BLE001 - a rule tells of it
                    life = error
            own._recorded = (watched, life)
        return own._recorded

    @rule("S1", "constructor-remembers", "open the meter and start threads in `start`.")
    def test_s1_constructor_remembers(self) -> None:
        """The constructor only remembers its settings, also where the meter cannot be used.

        Samplers are made before it is known whether they will measure.
        """
        with self.surroundings(), watch() as watched:
            sampler = self.create()
        if not isinstance(sampler, EnergySampler):
            breach(f"`create` gave {type(sampler).__name__}, not an EnergySampler")
        started = [*watched.threads, *watched.children]
        if started:
            breach(f"the constructor started {', '.join(started)}")

    @rule("S2", "life-cycle", "follow the order in the docstring of EnergySampler.")
    def test_s2_life_cycle(self) -> None:
        """`start`, then `begin` and `end` of windows that nest and overlap, then `stop` work, and
        `end` gives an `EnergyReading`.

        The harness has a window over the whole session open while it measures in others.
        """
        life = self._record()[1]
        if isinstance(life, str):
            skip(life)
        if isinstance(life, BaseException):
            raise life

    @rule("S3", "stop-twice", "return at once where nothing is open.")
    def test_s3_stop_twice(self) -> None:
        """`stop` may be called again, and does nothing then.

        A meter that failed in mid-run is stopped at once, and at the end once more.
        """
        self.life()
        with self.surroundings():
            sampler = self.create()
            sampler.start()
            sampler.stop()
            try:
                sampler.stop()
            except Exception as error:  # noqa: BLE001 - a sampler may raise anything
                breach_from("the second `stop`", error)

    @rule("S4", "stop-before-start", "return at once where nothing is open.")
    def test_s4_stop_before_start(self) -> None:
        """`stop` may be called before `start`.

        An experiment that is interrupted early is cleaned up like every other.
        """
        with self.surroundings():
            self.create().stop()

    @rule("S5", "stop-in-window", "forget open windows in `stop`.")
    def test_s5_stop_in_window(self) -> None:
        """`stop` may be called while a window is open.

        So it happens when an experiment fails or is interrupted.
        """
        self.life()
        with self.surroundings():
            sampler = self.create()
            sampler.start()
            try:
                sampler.begin("kit-interrupted")
            finally:
                sampler.stop()

    @rule(
        "S6",
        "start-error",
        "catch what the meter raises, and raise EnergyError from it.",
    )
    def test_s6_start_error(self) -> None:
        """Where the meter cannot be opened, `start` raises `EnergyError` and nothing else.

        The next sampler is tried then, and the message says why this one was passed over.
        """
        if self.available().usable:
            skip("it can be used here, so that its start cannot fail")
        with self.surroundings():
            sampler = self.create()
            try:
                sampler.start()
            except EnergyError as error:
                if not str(error).strip():
                    breach("the EnergyError has no message")
            except Exception as error:  # noqa: BLE001 - a sampler may raise anything
                breach_from("`start` where it cannot be used", error)
            finally:
                sampler.stop()
