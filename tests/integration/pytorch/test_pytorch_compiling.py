"""What is compiled, when, and what is said of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from llem_core.contracts import Prompt
from llem_pytorch.config import PyTorchConfig
from llem_pytorch.generation.compiling import Compilations, compile_mode

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
