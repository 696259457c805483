"""A clock that stands still until it is told to go on, and scripts of power of known energy."""

from __future__ import annotations

import math
from itertools import pairwise


class ManualClock:
    """Monotonic seconds that pass only when a test says so.

    Args:
        start_s: the time at which it begins (s).

    Example::

        clock = ManualClock()
        before_s = clock()
        clock.sleep(2.5)
        assert clock() - before_s == 2.5
    """

    def __init__(self, start_s: float = 0.0) -> None:
        self._now_s = start_s

    def __call__(self) -> float:
        """Its time (s)."""
        return self._now_s

    def sleep(self, duration_s: float) -> None:
        """Let time pass (s), at once.

        Raises:
            ValueError: the time is negative.
        """
        if duration_s < 0:
            raise ValueError(f"a clock does not go back: {duration_s} s")
        self._now_s += duration_s


class PowerScript:
    """Another power from each of several moments on.

    Times count from the ``start`` of the sampler that follows the script.

    Args:
        steps: moments (s) and the power (W) from there on; the first at 0, in order.

    Raises:
        ValueError: there is no step at 0, or the steps are not in order.

    Example::

        script = PowerScript((0.0, 60.0), (2.0, 300.0))
        assert script.power_w(1.0) == 60.0
        assert script.energy_j(1.0, 3.0) == 360.0
    """

    def __init__(self, *steps: tuple[float, float]) -> None:
        if not steps or steps[0][0] != 0:
            raise ValueError("a power script begins at 0 s; give a step such as (0.0, 60.0)")
        if any(later[0] <= earlier[0] for earlier, later in pairwise(steps)):
            raise ValueError("the steps of a power script are in the order of their times")
        self.steps = steps

    def power_w(self, time_s: float) -> float:
        """Power at a moment (W); that of the first step before it."""
        return next((p for t, p in reversed(self.steps) if t <= time_s), self.steps[0][1])

    def energy_j(self, started_s: float, ended_s: float) -> float:
        """Energy between two moments, exactly (J)."""
        edges = [-math.inf, *(t for t, _ in self.steps[1:]), math.inf]
        return math.fsum(
            power_w * max(0.0, min(ended_s, last_s) - max(started_s, first_s))
            for (_, power_w), (first_s, last_s) in zip(self.steps, pairwise(edges), strict=True)
        )


class ServedPower:
    """Power of an engine that serves: idle, and more for each request that it has in hand.

    A ``ScriptedServer`` that is made with it tells it what it serves, and a ``ScriptedSampler``
    reads it; both by one clock. So the joules of a window of time are known exactly.

    Args:
        idle_w: power without any request (W).
        per_request_w: what each request in hand adds (W).

    Example::

        power = ServedPower(idle_w=100.0, per_request_w=50.0)
        power.serve(2.0, 6.0)
        power.serve(4.0, 6.0)
        assert power.power_w(5.0) == 200.0
        assert power.energy_j(0.0, 5.0) == 5 * 100.0 + 3 * 50.0 + 1 * 50.0
    """

    def __init__(self, idle_w: float, per_request_w: float) -> None:
        self.idle_w, self.per_request_w = idle_w, per_request_w
        self._spans: list[tuple[float, float]] = []

    def serve(self, started_s: float, ended_s: float) -> None:
        """Have a request in hand between two moments (monotonic s)."""
        self._spans.append((started_s, ended_s))

    def power_w(self, time_s: float) -> float:
        """Power at a moment (W)."""
        in_hand = sum(start <= time_s < end for start, end in self._spans)
        return self.idle_w + self.per_request_w * in_hand

    def energy_j(self, started_s: float, ended_s: float) -> float:
        """Energy between two moments, exactly (J)."""
        busy_s = math.fsum(
            max(0.0, min(end, ended_s) - max(start, started_s)) for start, end in self._spans
        )
        return self.idle_w * (ended_s - started_s) + self.per_request_w * busy_s
