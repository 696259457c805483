"""How large everything is: on a card, and in a rehearsal on a CPU."""

from __future__ import annotations

from dataclasses import dataclass

from gpu_session.stepping import Step


@dataclass(frozen=True, slots=True)
class Scale:
    """Sizes of a session.

    Attributes:
        steps: with their times, in order.
        model: what is measured.
        small_model: what is compiled.
        precision: dtype of both.
        calls: of each NVML function.
        trace_s: length of the parts of the raw trace: idle without a context, idle with one,
            under load, decay.
        output_tokens: of each request.
        input_tokens: of each prompt.
        batch: of the long window, the repeats and the phases.
        batches: whose energies are compared with that of ``batch``.
        long_window_s, window_s, repeat_window_s, phase_window_s: windows (s).
        baseline_s: each of the two baselines of the long window (s).
        phase_outputs: output lengths whose phases are told apart (tokens).
        rates_hz: rates of the sampler whose cost is looked at.
        compile_modes: `pytorch.torch_compile` of the last step; null is what `generate` does.
        token_s: time of one decoding step, until it has been measured (s).
    """

    steps: tuple[Step, ...]
    model: str
    small_model: str
    precision: str
    calls: int
    trace_s: tuple[float, float, float, float]
    output_tokens: int
    input_tokens: int
    batch: int
    batches: tuple[int, ...]
    long_window_s: float
    window_s: float
    repeat_window_s: float
    phase_window_s: float
    baseline_s: float
    phase_outputs: tuple[int, ...]
    rates_hz: tuple[float, ...] = (10.0, 100.0)
    compile_modes: tuple[str | bool | None, ...] = (None, "reduce-overhead")
    token_s: float = 0.03


CARD = Scale(
    steps=(
        Step("facts", 15, 5),
        Step("calls", 8, 4),
        Step("trace", 50, 40),
        Step("tests", 35, 20),
        Step("recorder", 25, 15),
        Step("window", 60, 55),
        Step("batches", 50, 20),
        Step("repeats", 35, 30),
        Step("phases", 45, 25),
        Step("compile", 63, 30),
    ),
    model="shape:llama-3.1-8b",
    small_model="shape:smollm2-135m",
    precision="bf16",
    calls=200,
    trace_s=(4.0, 4.0, 6.0, 4.0),
    output_tokens=64,
    input_tokens=128,
    batch=8,
    batches=(1, 32, 64),
    long_window_s=35.0,
    window_s=8.0,
    repeat_window_s=10.0,
    phase_window_s=6.0,
    baseline_s=6.0,
    phase_outputs=(16, 128),
)

REHEARSAL = Scale(
    steps=(
        Step("facts", 60, 2),
        Step("calls", 60, 1),
        Step("trace", 60, 2),
        Step("tests", 60, 2),
        Step("recorder", 60, 2),
        Step("window", 60, 2),
        Step("batches", 60, 2),
        Step("repeats", 60, 2),
        Step("phases", 60, 2),
        Step("compile", 60, 2),
    ),
    model="shape:tiny-llama",
    small_model="shape:tiny-llama",
    precision="fp32",
    calls=20,
    trace_s=(0.6, 0.6, 1.0, 0.6),
    output_tokens=8,
    input_tokens=16,
    batch=8,
    batches=(1, 32),
    long_window_s=1.0,
    window_s=0.3,
    repeat_window_s=0.3,
    phase_window_s=0.3,
    baseline_s=0.5,
    phase_outputs=(4, 16),
    # To compile takes a CPU more than a minute: the way there is rehearsed, not the compiler.
    compile_modes=(False,),
    token_s=0.01,
)
