"""What is compiled, when, and what is said of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from llem_core.contracts import DecoderConfig, DeviceInfo, Prompt, Workload
from llem_core.errors import BackendError
from llem_core.measure.drive.warmup import plan_warmup
from llem_pytorch.config import PyTorchConfig
from llem_pytorch.generation.compiling import Compilations, compile_mode
from llem_pytorch.model.facts import devices_of, effective_settings
from llem_pytorch.model.placement import FoundGpus, choose_device, device_peak, release_cache

Start = Any
# The compiler's own imports still use what torch deprecates.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
REST = ("model.layers", "model.norm", "model.rotary_emb", "lm_head")


def test_each_distinct_shape_is_warmed_up_once_where_something_is_compiled(start: Start) -> None:
    lengths = (5, 9, 5, 9, 9, 5, 7)
    prompts = [
        Prompt(i, None, 4, synthetic_tokens=n, exact_output=True) for i, n in enumerate(lengths)
    ]
    prompts.append(Prompt(7, None, 6, synthetic_tokens=9, exact_output=True))
    for section, shapes in (({"torch_compile": True}, [9, 9, 7, 5]), ({}, [9])):
        backend = start(**section).backend
        batches = backend.warmup_batches(backend.prepare(prompts, "measured"))
        assert [batch.padded_tokens for batch in batches] == shapes


def test_what_is_compiled_within_the_window_is_counted() -> None:
    doubled = torch.compile(lambda x: x * 2, backend="eager", dynamic=False)
    counted = Compilations()
    doubled(torch.zeros(2))
    counted.begin()
    doubled(torch.zeros(2))
    assert counted.remark() is None
    doubled(torch.zeros(3))
    remark = counted.remark()
    assert remark is not None
    assert "torch compiled 1 times within the window" in remark
    counted.begin()
    assert counted.remark() is None


@pytest.mark.parametrize(
    ("section", "device", "mode"),
    [
        ({}, "cuda", None),
        ({"torch_compile": True}, "cpu", "default"),
        ({"torch_compile": "max-autotune-no-cudagraphs"}, "cuda", "max-autotune-no-cudagraphs"),
        ({"cache_implementation": "static"}, "cpu", None),
        ({"cache_implementation": "static"}, "cuda", "reduce-overhead"),
        ({"cache_implementation": "static", "torch_compile": False}, "cuda", None),
    ],
)
def test_what_runs_is_what_is_recorded(
    section: dict[str, Any], device: str, mode: str | None
) -> None:
    assert compile_mode(PyTorchConfig.model_validate(section), torch.device(device)) == mode


# transformers 5.17 takes the device of weights on the disk for the model's.
@pytest.mark.filterwarnings("ignore:You are calling .generate:UserWarning")
def test_layers_on_disk_leave_their_inputs_where_they_run(
    start: Start, checkpoint: Path, tmp_path: Path
) -> None:
    placed = start(
        str(checkpoint),
        device=None,
        device_map={"model.embed_tokens": "disk", **dict.fromkeys(REST, "cpu")},
        offload_folder=str(tmp_path),
    )
    weight = placed.backend._model.get_input_embeddings().weight
    assert weight.device.type == "meta"
    prompts = [Prompt(0, "some text", 4)]
    plain = start(str(checkpoint)).run(prompts)
    assert placed.run(prompts)[0].token_ids == plain[0].token_ids
    assert [device.kind for device in placed.info.devices] == ["cpu"]


@dataclass
class Scales:
    """What bitsandbytes keeps beside a packed weight."""

    absmax: torch.Tensor
    state2: Any = None


def test_scales_of_packed_weights_count_as_weights(start: Start) -> None:
    from llem_pytorch.model.facts import model_info

    session = start()
    model = session.backend._model
    weight = next(model.parameters())
    weight.quant_state = Scales(torch.zeros(100), Scales(torch.zeros(10)))
    info = model_info(model, session.backend.workload, random_weights=True, settings={}, notes=())
    assert info.weights_bytes == session.info.weights_bytes + 440


LENGTHS = (40, 3, 9, 9, 31, 5, 60)


def warm_up(backend: Any, prompts: list[Prompt]) -> list[Any]:
    """Prepare and warm up as the core does; the measured batches."""
    batches = backend.prepare(prompts, "measured")
    plan = plan_warmup(backend, batches, prompts, seed=1)
    for batch in (*plan.once, plan.repeated):
        backend.generate(batch)
    return list(batches)


def texts(start: Start, section: dict[str, Any]) -> tuple[Any, list[Prompt]]:
    words = "one two three four five six seven eight nine ten eleven twelve".split()  # noqa: SIM905
    prompts = [
        Prompt(i, " ".join(words[(i + k) % 12] for k in range(n)), 3) for i, n in enumerate(LENGTHS)
    ]
    return start(max_input_tokens=400, batch_size=3, **section).backend, prompts


def test_the_warm_up_of_a_compiled_model_has_the_shapes_of_the_window(start: Start) -> None:
    backend, prompts = texts(start, {"torch_compile": True, "cache_implementation": "static"})
    batches = backend.prepare(prompts, "measured")
    plan = plan_warmup(backend, batches, prompts, seed=1)
    warmed = {tuple(batch.payload.ids.shape) for batch in (*plan.once, plan.repeated)}
    assert warmed == {tuple(batch.payload.ids.shape) for batch in batches}
    assert len(warmed) == 3


def test_a_warm_up_of_other_lengths_is_brought_to_the_nearest_shape(start: Start) -> None:
    for section, brought in (({"torch_compile": True}, True), ({}, False)):
        backend = start(batch_size=2, **section).backend
        measured = [Prompt(i, "x" * n, 4) for i, n in enumerate((49, 19, 9, 7))]
        shapes = {b.payload.ids.shape[1] for b in backend.prepare(measured, "measured")}
        assert shapes == {50, 10}
        for n, nearest in ((22, 10), (47, 50), (60, 50)):
            like = [Prompt(10, "y" * n, 4), Prompt(11, "z", 4)]
            (batch,) = backend.prepare(like, "warmup")
            assert batch.payload.ids.shape == (2, nearest if brought else n + 1)
        # Another number of rows, or another limit, has no shape to be brought to.
        (alone,) = backend.prepare([Prompt(10, "y" * 22, 4)], "warmup")
        assert alone.payload.ids.shape == (1, 23)


def test_a_static_cache_has_one_length_for_all_batches(start: Start) -> None:
    backend, prompts = texts(start, {"cache_implementation": "static", "torch_compile": False})
    batches = backend.prepare(prompts, "measured")
    longest = max(batch.payload.ids.shape[1] for batch in batches) + 3
    assert {batch.payload.settings.max_cache_len for batch in batches} == {longest}
    (phase,) = backend.prepare(prompts[:1], "phase")
    assert phase.payload.settings.max_cache_len == longest
    plain, prompts = texts(start, {})
    settings = plain.prepare(prompts, "measured")[0].payload.settings
    assert settings.max_cache_len is None


@pytest.mark.full
def test_nothing_is_compiled_after_a_warm_up_of_texts_with_a_half_full_last_batch(
    start: Start,
) -> None:
    """The last batch has one row, and the longest prompt."""
    backend, prompts = texts(
        start, {"cache_implementation": "static", "torch_compile": True, "compile_dynamic": False}
    )
    # What inductor does would take a minute; what is compiled anew, and when, is dynamo's.
    model = backend._model
    model.forward = torch.compile(
        type(model).forward.__get__(model), backend="eager", dynamic=False
    )
    batches = warm_up(backend, prompts)
    assert [len(batch.indices) for batch in batches] == [3, 3, 1]
    backend.reset_peak_memory()
    for batch in batches:
        backend.generate(batch)
    assert [note for note in backend.facts().notes if "compiled" in note] == []


def test_unloading_forgets_what_was_compiled(start: Start) -> None:
    compiled: list[int] = []

    def compiler(graph: Any, inputs: Any) -> Any:
        compiled.append(len(inputs))
        return graph.forward

    def doubled(x: torch.Tensor) -> torch.Tensor:
        return x * 2

    function = torch.compile(doubled, backend=compiler, dynamic=False)
    for section, times in (({}, 1), ({"torch_compile": True}, 2)):
        backend = start(**section).backend
        function(torch.zeros(2))
        backend.unload()
        function(torch.zeros(2))
        assert len(compiled) == times


@pytest.mark.parametrize(
    ("model", "mode"),
    [
        (SimpleNamespace(hf_device_map={"": 0}), "reduce-overhead"),
        (SimpleNamespace(hf_device_map={"a": 0, "b": "cpu"}), None),
        (SimpleNamespace(hf_device_map={"a": 0, "b": "disk"}), None),
        (SimpleNamespace(hf_quantizer=SimpleNamespace(is_compileable=False)), None),
        (SimpleNamespace(hf_quantizer=SimpleNamespace(is_compileable=True)), "reduce-overhead"),
    ],
)
def test_what_transformers_will_not_compile_is_not_recorded_as_compiled(
    model: Any, mode: str | None
) -> None:
    section = PyTorchConfig.model_validate({"cache_implementation": "static"})
    assert compile_mode(section, torch.device("cuda"), model) == mode


@dataclass
class StickyCuda:
    """CUDA after an error on the device: every call fails."""

    initialised: bool = True
    calls: list[str] = field(default_factory=list)

    def is_initialized(self) -> bool:
        return self.initialised

    def empty_cache(self) -> None:
        self.calls.append("empty_cache")
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    def max_memory_reserved(self, index: int) -> int:
        return 1000 + index

    def max_memory_allocated(self, index: int) -> int:
        return 10 + index


def fail_and_release(cuda: StickyCuda) -> None:
    try:
        raise BackendError("the first one")
    finally:
        release_cache(cuda)


def test_the_first_error_on_a_device_is_the_one_that_is_told() -> None:
    cuda = StickyCuda()
    with pytest.raises(BackendError, match="^the first one$"):
        fail_and_release(cuda)
    assert cuda.calls == ["empty_cache"]
    unused = StickyCuda(initialised=False)
    release_cache(unused)
    assert unused.calls == []


def test_the_pools_of_cuda_graphs_are_reserved_memory() -> None:
    graphs = device_peak([0, 1], True, StickyCuda())
    assert (graphs.peak_bytes, graphs.source.split(",")[0]) == (
        2001,
        "torch.cuda.max_memory_reserved",
    )
    plain = device_peak([0, 1], False, StickyCuda())
    assert (plain.peak_bytes, plain.source.split(",")[0]) == (21, "torch.cuda.max_memory_allocated")


def test_the_experts_kernel_of_decoding_is_recorded(start: Start) -> None:
    sparse = start("shape:tiny-mixtral", experts_implementation="grouped_mm").backend
    told = effective_settings(sparse._section, sparse._model, torch.device("cuda"))
    assert told["experts_implementation"] == "grouped_mm"
    assert told["experts_implementation_decode"] == "batched_mm"
    told = effective_settings(sparse._section, sparse._model, torch.device("cpu"))
    assert told["experts_implementation_decode"] == "grouped_mm"
    dense = start().backend
    told = effective_settings(dense._section, dense._model, torch.device("cuda"))
    assert "experts_implementation" not in told


@pytest.mark.parametrize(
    ("section", "found", "told"),
    [
        ({}, FoundGpus(0, "13.0", True), r"has an NVIDIA GPU.*CUDA 13\.0.*cannot use it"),
        ({"device": "cuda"}, FoundGpus(0, "13.0", True), "torch finds no CUDA device"),
        ({"device": "cuda:2"}, FoundGpus(2, "13.0", True), "finds 2 CUDA devices"),
    ],
)
def test_a_gpu_that_torch_cannot_use_is_no_cpu_run(
    section: dict[str, Any], found: FoundGpus, told: str
) -> None:
    with pytest.raises(BackendError, match=told):
        choose_device(*on(section), found)


@pytest.mark.parametrize(
    ("section", "found", "device"),
    [
        ({}, FoundGpus(0, None, True), "cpu"),
        ({}, FoundGpus(0, "13.0", False), "cpu"),
        ({}, FoundGpus(2, "13.0", True), "cuda:1"),
        ({"device": "cpu"}, FoundGpus(0, "13.0", True), "cpu"),
    ],
)
def test_the_device_is_a_gpu_where_torch_has_one(
    section: dict[str, Any], found: FoundGpus, device: str
) -> None:
    assert str(choose_device(*on(section), found)) == device


def on(fields: dict[str, Any]) -> tuple[Workload, PyTorchConfig]:
    section = PyTorchConfig.model_validate(fields)
    workload = Workload(
        model="any",
        precision="fp32",
        max_input_tokens=8,
        max_output_tokens=8,
        random_seed=1,
        decoder=DecoderConfig(),
        section=section,
        rank=3,
        world_size=4,
    )
    return workload, section


@pytest.mark.parametrize(
    ("places", "kinds"),
    [
        ({"layers.0": 0, "layers.1": "cpu"}, ["gpu", "cpu"]),
        ({"layers.0": 0, "layers.1": "disk"}, ["gpu", "cpu"]),
        ({"layers.0": 0, "layers.1": 1}, ["gpu", "gpu"]),
        ({}, ["gpu", "gpu"]),
    ],
)
def test_offloaded_layers_bring_their_cpu(places: dict[str, Any], kinds: list[str]) -> None:
    """Weights that are moved in and out lie on ``meta`` in between."""
    gpus = {place for place in places.values() if isinstance(place, int)} or {0, 1}
    on = [torch.device("meta"), *(torch.device("cuda", index) for index in gpus)]
    model = SimpleNamespace(
        parameters=lambda: [SimpleNamespace(device=device) for device in on],
        hf_device_map=places or None,
    )
    devices = devices_of(model, lambda index: DeviceInfo("gpu", f"GPU {index}"))
    assert [device.kind for device in devices] == kinds
