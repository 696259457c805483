"""An exporter whose GPUs draw what their script says, and that misbehaves on request."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from llem_core.units import to_milli

from llem_energy_dcgm.exporter import Answer, ExporterError
from llem_energy_dcgm.exposition import ENERGY, POWER
from llem_energy_dcgm.testing.clock import VirtualClock
from llem_energy_dcgm.testing.power import Curve

MISBEHAVIOURS = (
    "none",
    "silent",
    "slow",
    "restart",
    "http_401",
    "http_500",
    "redirect",
    "html",
    "empty",
    "broken",
    "nan",
    "blank",
    "frozen",
    "reset",
    "jump",
    "lost",
    "no_energy",
)
"""What an exporter may do, from a moment to another; ``none`` is to answer properly."""

_REFRESH_S = 0.1
_NOISE = 1e-4
_BLANK = "9223372036854775794"


@dataclass(frozen=True)
class ScriptedGpu:
    """One GPU.

    Attributes:
        curve: its power; times count from the exporter's start.
        uuid: its UUID.
        name: its product's name.
        instances: numbers of its MIG instances.
        has_energy: whether the exporter tells its counter.
        gain: what its sensor shows for each joule and watt.
    """

    curve: Curve
    uuid: str = "GPU-00000000-0000-0000-0000-000000000001"
    name: str = "Scripted GPU"
    instances: tuple[int, ...] = ()
    has_energy: bool = True
    gain: float = 1.0


@dataclass(frozen=True)
class Page:
    """What an exporter answers.

    Attributes:
        status: of HTTP; 0 where it does not listen at all.
        body: the text.
        headers: further ones.
        wait_s: time before it answers (s).
    """

    status: int
    body: str
    headers: dict[str, str] = field(default_factory=dict)
    wait_s: float = 0.0


class ScriptedExporter:
    """What an exporter shows at any moment.

    Args:
        gpus: its GPUs.
        collect_interval_s: time between two looks at their values (s).
        phase_s: moment of the first look (s).
        lag_s: from a look until its values are shown (s).
        misbehaviour: what it does between the two moments; of ``MISBEHAVIOURS``.
        from_s, until_s: these moments.
        hostname: what it calls its machine.
    """

    def __init__(
        self,
        gpus: Sequence[ScriptedGpu],
        *,
        collect_interval_s: float = 1.0,
        phase_s: float = 0.0,
        lag_s: float = 0.0,
        misbehaviour: str = "none",
        from_s: float = 0.0,
        until_s: float = math.inf,
        hostname: str = "gpu-node",
    ) -> None:
        if misbehaviour not in MISBEHAVIOURS:
            raise ValueError(f"{misbehaviour!r} is none of {', '.join(MISBEHAVIOURS)}")
        self.gpus = gpus
        self._interval_s, self._phase_s, self._lag_s = collect_interval_s, phase_s, lag_s
        self._misbehaviour = misbehaviour
        self._from_s, self._until_s = from_s, until_s
        self._hostname = hostname

    def page(self, time_s: float) -> Page:
        """What it answers at a moment since its start (s)."""
        how = self._misbehaviour if self._from_s <= time_s < self._until_s else "none"
        if how.startswith("http_"):
            return Page(int(how[5:]), "scripted failure\n")
        if how == "redirect":
            return Page(302, "", {"Location": "http://192.0.2.1:9400/metrics"})
        if how == "html":
            return Page(200, "<html><body><h1>GPU Exporter</h1></body></html>\n")
        if how in {"empty", "broken"}:
            return Page(200, "" if how == "empty" else f"{POWER}{{gpu=0 5\n}} 3\n")
        if how == "restart":
            return Page(0, "")
        wait_s = {"silent": 3600.0, "slow": 1.5}.get(how, 0.0)
        return Page(200, self._text(time_s, how), wait_s=wait_s)

    def _text(self, time_s: float, how: str) -> str:
        looks = math.floor((time_s - self._lag_s - self._phase_s) / self._interval_s)
        look_s = max(0.0, self._phase_s + looks * self._interval_s)
        if how == "frozen":
            look_s = min(look_s, self._from_s)
        told = [] if how == "lost" else [(gpu, *self._told(gpu, look_s, how)) for gpu in self.gpus]
        energies = [(g, e) for g, e, _ in told if g.has_energy and how != "no_energy"]
        return "".join(
            [
                self._family(ENERGY, "counter", "Total energy since boot (in mJ).", energies),
                self._family(POWER, "gauge", "Power draw (in W).", [(g, p) for g, _, p in told]),
                self._family(
                    "DCGM_FI_DEV_GPU_TEMP", "gauge", "GPU temperature (in C).",
                    [(g, "50") for g, *_ in told],
                ),
                self._family(
                    "DCGM_FI_DEV_SM_CLOCK", "gauge", "SM clock (in MHz).",
                    [(g, "1410") for g, *_ in told],
                ),
                self._family(
                    "DCGM_FI_DEV_GPU_UTIL", "gauge", "GPU utilization (in %).",
                    [(g, "0" if g.curve.power_w(look_s) < 100 else "97") for g, *_ in told],
                ),
                self._family(
                    "DCGM_FI_DEV_FB_USED", "gauge", "Framebuffer memory used (in MiB).",
                    [(g, "40000") for g, *_ in told],
                ),
            ]
        )  # fmt: skip

    def _told(self, gpu: ScriptedGpu, look_s: float, how: str) -> tuple[str, str]:
        """The counter (mJ) and the power (W), as texts."""
        if how in {"nan", "blank"}:
            text = "NaN" if how == "nan" else _BLANK
            return text, text
        # The driver renews its counter at times of its own.
        counted_s = math.floor(look_s / _REFRESH_S + 1e-9) * _REFRESH_S
        since_s = self._from_s if how == "reset" else 0.0
        start_j = {"reset": 0.0, "jump": 1e9}.get(how, 1e5)
        energy_j = start_j + gpu.gain * gpu.curve.energy_j(min(since_s, counted_s), counted_s)
        # No sensor tells the same power twice.
        noise = 1 + _NOISE * (math.sin(look_s * 12.9898) * 43758.5453 % 1 - 0.5)
        return f"{int(to_milli(energy_j))}", f"{gpu.gain * noise * gpu.curve.power_w(look_s):.3f}"

    def _family(
        self, name: str, kind: str, told: str, values: Sequence[tuple[ScriptedGpu, str]]
    ) -> str:
        lines = [f"# HELP {name} {told}", f"# TYPE {name} {kind}"]
        for gpu, value in values:
            number = self.gpus.index(gpu)
            for part in gpu.instances or (None,):
                mig = "" if part is None else f',GPU_I_PROFILE="1g.10gb",GPU_I_ID="{part}"'
                lines.append(
                    f'{name}{{gpu="{number}",UUID="{gpu.uuid}",device="nvidia{number}",'
                    f'modelName="{gpu.name}"{mig},Hostname="{self._hostname}"}} {value}'
                )
        return "\n".join(lines) + "\n" if values else ""


class DirectExporter:
    """A scripted exporter that is asked without a network, over simulated time.

    Args:
        scripted: what it shows.
        clock: the time; the exporter starts when this is made.
        round_trip_s: what a request takes (s).
        timeout_s: how long it is waited for (s).
    """

    def __init__(
        self,
        scripted: ScriptedExporter,
        clock: VirtualClock,
        round_trip_s: float = 0.004,
        timeout_s: float = 2.0,
    ) -> None:
        self.scripted = scripted
        self.asked = 0
        self._clock = clock
        self._round_trip_s, self._timeout_s = round_trip_s, timeout_s
        self.started_s = clock.now()

    def ask(self) -> Answer:
        """The text in the middle of the round trip."""
        self.asked += 1
        asked_s = self._clock.now()
        page = self.scripted.page(asked_s + self._round_trip_s / 2 - self.started_s)
        self._clock.sleep(min(self._round_trip_s + page.wait_s, self._timeout_s))
        if page.status == 0:
            raise ExporterError("it cannot be reached")
        if page.wait_s > self._timeout_s:
            raise ExporterError("it did not answer in time")
        if page.status != 200:
            raise ExporterError(f"it answers {page.status}")
        return Answer(asked_s, self._clock.now(), page.body)

    def close(self) -> None:
        """There is no connection."""
