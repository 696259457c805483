"""How many requests reach an engine, and when: ``load`` in an experiment file."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from llem_core.config.load.trace import read_trace
from llem_core.contracts.config import StrictModel
from llem_core.contracts.workload import LoadMode
from llem_core.errors import ConfigError

DEFAULT_WINDOW_S = 60.0

_Seconds = Annotated[float, Field(strict=True, gt=0, le=1e7, allow_inf_nan=False)]
_UNITS = {"ttft": "ttft_ms", "tpot": "tpot_ms", "e2e": "e2e_s"}
_FIELDS: dict[LoadMode, frozenset[str]] = {
    "batch": frozenset(),
    "closed": frozenset({"concurrency"}),
    "open": frozenset({"concurrency", "request_rate", "arrival", "burstiness"}),
    "trace": frozenset({"concurrency", "trace", "time_scale"}),
}
_SHARED = (
    "ramp_seconds",
    "window_seconds",
    "windows",
    "request_timeout_seconds",
    "slo",
)


class SloConfig(StrictModel):
    """What a request must keep to count as good; what is not given, need not be kept."""

    ttft_ms: _Seconds | None = Field(None, description="Time to first token at the most (ms).")
    tpot_ms: _Seconds | None = Field(None, description="Time per output token at the most (ms).")
    e2e_s: _Seconds | None = Field(None, description="End to end at the most (s).")

    @model_validator(mode="before")
    @classmethod
    def _units_are_named(cls, data: Any) -> Any:
        if isinstance(data, dict):
            for name, with_unit in _UNITS.items():
                if name in data:
                    raise ValueError(f"{name} has no unit; write {with_unit}")
        return data

    @model_validator(mode="after")
    def _something_is_asked(self) -> Self:
        if self.ttft_ms is None and self.tpot_ms is None and self.e2e_s is None:
            raise ValueError("it asks for nothing; give ttft_ms, tpot_ms or e2e_s")
        return self


class LoadConfig(StrictModel):
    """How requests reach the engine.

    With ``batch`` all prompts are given to the backend at once and the window holds their whole
    work. With the other modes requests are sent before, through and after a window that is an
    interval of time; they need a backend that serves requests.
    """

    mode: LoadMode = Field(
        "batch",
        description="`batch`: all prompts at once. `closed`: a number of requests in flight. "
        "`open`: requests at a mean rate, whether earlier ones are over or not. `trace`: requests "
        "at recorded times.",
    )
    concurrency: Annotated[int, Field(strict=True, ge=1, le=100_000)] | None = Field(
        None,
        description="Closed: requests in flight. Open and trace: the most in flight; null for no "
        "limit.",
    )
    request_rate: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)] | None = Field(
        None, description="Open: mean rate (requests/s)."
    )
    arrival: Literal["poisson", "gamma", "constant"] = Field(
        "poisson", description="Open: how the times between requests are distributed."
    )
    burstiness: Annotated[float, Field(gt=0, le=1e3, allow_inf_nan=False)] = Field(
        1.0,
        description="Open, gamma: shape of the distribution; 1 is Poisson, less comes in bursts.",
    )
    trace: str | None = Field(
        None,
        min_length=1,
        description="Trace: path of a JSON Lines file with `timestamp_s`, `input_tokens` and "
        "`output_tokens`, or `prompt`, and perhaps `session`, a line.",
    )
    time_scale: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)] = Field(
        1.0, description="Trace: 2 replays it twice as fast."
    )
    ramp_seconds: Annotated[float, Field(ge=0, le=1e7)] | Literal["auto"] = Field(
        "auto",
        description="Load before the window opens (s); `auto` is until it is steady, with at least "
        "one whole request per slot; of a trace it is 0.",
    )
    window_seconds: _Seconds | None = Field(
        None,
        description="Length of a window (s); 60 if not given, and of a trace its whole length.",
    )
    windows: Annotated[int, Field(strict=True, ge=1, le=1000)] = Field(
        1, description="Windows at one level, one after another; they show the scatter in a run."
    )
    request_timeout_seconds: _Seconds = Field(
        600.0, description="After which a request is given up and counts as failed (s)."
    )
    slo: SloConfig | None = Field(None, description="What a request must keep to count as good.")

    @model_validator(mode="after")
    def _fields_fit_the_mode(self) -> Self:
        own = _FIELDS[self.mode]
        others = sorted({name for names in _FIELDS.values() for name in names} - own)
        if self.mode == "batch":
            others += _SHARED
        strange = [name for name in others if getattr(self, name) != _default(name)]
        if strange:
            modes = [mode for mode, names in _FIELDS.items() if strange[0] in names]
            meant = " or ".join(modes or ["closed, open or trace"])
            raise ValueError(
                f"{', '.join(strange)} cannot be used with `mode: {self.mode}`; did you mean "
                f"`mode: {meant}`?"
            )
        if self.mode == "closed" and self.concurrency is None:
            raise ValueError("`mode: closed` needs concurrency, the requests in flight")
        if self.mode == "open" and self.request_rate is None:
            raise ValueError("`mode: open` needs request_rate, in requests/s")
        if self.burstiness != 1.0 and self.arrival != "gamma":
            raise ValueError("burstiness is for `arrival: gamma` only")
        return self

    @model_validator(mode="after")
    def _trace_is_sound(self) -> Self:
        if self.mode != "trace":
            return self
        if self.trace is None:
            raise ValueError("`mode: trace` needs trace, the path of a JSON Lines file")
        try:
            read_trace(self.trace)
        except ConfigError as error:
            raise ValueError(str(error).removeprefix("load.trace: ")) from error
        return self

    @property
    def serves(self) -> bool:
        """Whether requests are served under a load, rather than run as batches."""
        return self.mode != "batch"

    @property
    def window_s(self) -> float | None:
        """Length of a window (s); ``None``: as long as the trace."""
        if self.window_seconds is None and self.mode != "trace":
            return DEFAULT_WINDOW_S
        return self.window_seconds

    def canonical(self) -> dict[str, Any]:
        """The fields that the experiment's hash is taken over: a trace by its content."""
        own = {"mode", *_FIELDS[self.mode], *_SHARED}
        if self.arrival != "gamma":
            own.discard("burstiness")
        dumped = self.model_dump(mode="json", include=own, exclude_none=True)
        if self.trace is not None:
            dumped["trace"] = read_trace(self.trace).sha256
        return dumped


def _default(name: str) -> Any:
    return LoadConfig.model_fields[name].default
