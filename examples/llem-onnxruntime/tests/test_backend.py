"""Facts, checks and errors."""

import json

import onnx
import pytest
from helpers import outputs, workload
from llem_core.contracts import AttentionShape, Prompt
from llem_core.errors import BackendError

from llem_onnxruntime.backend import OnnxRuntimeBackend
from llem_onnxruntime.check import check
from llem_onnxruntime.tiny import TinyShape, write_tiny_model

VOCABULARY, HIDDEN, LAYERS, POSITIONS = 259, 64, 2, 1024


def loaded(model, **fields):
    backend = OnnxRuntimeBackend(workload(model, **fields))
    return backend, backend.load()


def test_the_facts_are_those_of_the_shape(tiny):
    _, info = loaded(tiny)
    each = 4 * HIDDEN**2 + 2 * 4 * HIDDEN**2 + 2 * HIDDEN

    assert info.parameters_non_embedding == LAYERS * each + HIDDEN
    tables = 2 * VOCABULARY * HIDDEN + POSITIONS * HIDDEN
    assert info.parameters == info.parameters_non_embedding + tables
    assert info.weights_bytes == 4 * info.parameters
    assert (info.n_layers, info.dtype) == (LAYERS, "fp32")
    assert info.compute.attention == (AttentionShape(LAYERS, HIDDEN, HIDDEN),)
    assert info.compute.output_projection_parameters == VOCABULARY * HIDDEN
    assert info.random_weights
    assert info.effective_settings["kv_cache"] is True


def test_settings_reach_the_session(tiny):
    section = {"intra_op_threads": 1, "graph_optimization": "basic", "memory_arena": False}
    _, info = loaded(tiny, section=section)
    settings = info.effective_settings

    assert settings["intra_op_threads"] == 1
    assert settings["graph_optimization"] == "ORT_ENABLE_BASIC"
    assert settings["memory_arena"] is False


def test_a_graph_without_cache_is_noted(tiny_without_cache):
    _, info = loaded(tiny_without_cache)

    assert any("no key-value cache" in note for note in info.notes)
    assert info.n_layers == LAYERS


def test_the_graph_itself_may_be_named(tiny):
    assert loaded(tiny / "model.onnx")[1].n_layers == LAYERS
    assert check(workload(tiny / "model.onnx")).problems == ()


def test_a_check_of_what_runs_has_an_estimate(tiny):
    report = check(workload(tiny, section={"batch_size": 2}))
    weights = (tiny / "model.onnx").stat().st_size

    assert report.problems == ()
    assert report.device_kind == "cpu"
    assert report.memory_estimate_bytes == weights + 2 * (
        2 * LAYERS * HIDDEN * (64 + 12) * 4 + 64 * VOCABULARY * 4
    )


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"decoder": {"do_sample": True}}, "greedily"),
        ({"decoder": {"repetition_penalty": 1.2}}, "repetition_penalty"),
        ({"precision": "fp16"}, "precision"),
        ({"passthrough_kwargs": {"session.x": [1]}}, "session configuration"),
        ({"section": {"file": "other.onnx"}}, r"other\.onnx"),
        ({"section": {"tokenizer": "none.json"}}, "tokenizer"),
    ],
)
def test_what_cannot_be_done_is_a_problem(tiny, fields, told):
    (problem,) = check(workload(tiny, **fields)).problems

    assert pytest.RaisesExc(AssertionError, match=told).matches(AssertionError(problem))


def test_all_problems_are_told_at_once(tmp_path):
    report = check(workload(tmp_path / "none", precision="bf16", decoder={"do_sample": True}))

    assert len(report.problems) == 3


def test_a_broken_graph_is_a_backend_error_with_its_cause(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"not a graph at all")
    with pytest.raises(BackendError, match=str(tmp_path)) as caught:
        loaded(tmp_path)

    assert caught.value.__cause__ is not None


def test_a_graph_that_is_no_decoder_is_told(tmp_path):
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Relu", ["pixels"], ["out"])],
        "vision",
        [value("pixels", onnx.TensorProto.FLOAT, [1])],
        [value("out", onnx.TensorProto.FLOAT, [1])],
    )
    opsets = [onnx.helper.make_opsetid("", 17)]
    onnx.save(
        onnx.helper.make_model(graph, opset_imports=opsets, ir_version=9), tmp_path / "model.onnx"
    )
    with pytest.raises(BackendError, match="no graph of a decoder"):
        loaded(tmp_path)


def test_too_few_tokens_for_bytes(tmp_path, tiny):
    model = onnx.load(tiny / "model.onnx")
    model.graph.output[0].type.tensor_type.shape.dim[-1].dim_value = 100
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(BackendError, match=r"tokenizer\.json"):
        loaded(tmp_path)


def test_a_sequence_beyond_the_positions_is_told(tmp_path):
    model = write_tiny_model(tmp_path, TinyShape(positions=32))
    with pytest.raises(BackendError, match="need 52 positions and the model has 32"):
        outputs(model, ["x" * 100], limit=12, max_input_tokens=40)


def test_synthetic_prompts_are_exact_and_seeded(tiny):
    backend, _ = loaded(tiny)
    prompt = Prompt(3, None, 5, synthetic_tokens=17, exact_output=True)
    first, again = (backend.prepare([prompt], "measured")[0] for _ in range(2))

    assert first.input_tokens == (17,)
    assert (first.payload.ids == again.payload.ids).all()
    (request,) = backend.collect(first, backend.generate(first)).requests
    assert request.output_tokens == 5


def test_peak_memory_is_read_or_null_with_a_reason(tiny):
    backend, _ = loaded(tiny)
    backend.reset_peak_memory()
    reading = backend.memory()

    assert (reading.peak_bytes is None) == bool(reading.reason)


def test_a_tokenizer_file_is_used(tiny, tmp_path):
    tokenizers = pytest.importorskip("tokenizers")
    model = tokenizers.models.WordLevel({"[UNK]": 0, "energy": 7, "meter": 9}, unk_token="[UNK]")
    engine = tokenizers.Tokenizer(model)
    engine.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    engine.save(str(tmp_path / "tokenizer.json"))
    section = {"tokenizer": str(tmp_path / "tokenizer.json")}
    backend, info = loaded(tiny, section=section)
    (batch,) = backend.prepare([Prompt(0, "energy meter energy", 2)], "measured")

    assert batch.payload.ids.tolist() == [[7, 9, 7]]
    assert info.effective_settings["tokenizer"] == "tokenizer.json"


def test_generation_config_wins_over_config(tiny, tmp_path):
    (tmp_path / "model.onnx").write_bytes((tiny / "model.onnx").read_bytes())
    (tmp_path / "config.json").write_text(json.dumps({"eos_token_id": 1, "bos_token_id": 256}))
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": [2, 3]}))
    backend, _ = loaded(tmp_path)
    (batch,) = backend.prepare([Prompt(0, "a", 2)], "measured")

    assert batch.payload.eos_ids == (2, 3)
