"""What is generated: right whatever the batch, the cache and the padding."""

import json

import numpy as np
import onnxruntime as ort
import pytest
from helpers import outputs, tokens

TEXTS = ["Energy", "A meter in the mains lead sees all of it.", "Why?", "α — β", "x" * 50]


def greedy_by_hand(folder, text, steps):
    """One prompt through a graph without a cache, by ONNX Runtime alone."""
    session = ort.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    ids = [256, *text.encode()]
    for _ in range(steps):
        array = np.array([ids])
        feeds = {
            "input_ids": array,
            "attention_mask": np.ones_like(array),
            "position_ids": np.arange(len(ids))[None],
        }
        (logits,) = session.run(["logits"], feeds)
        ids.append(int(logits[0, -1].argmax()))
    return tuple(ids[-steps:])


def test_tokens_are_those_of_the_bare_engine(tiny, tiny_without_cache):
    expected = [greedy_by_hand(tiny_without_cache, text, 12) for text in TEXTS]

    assert tokens(tiny, TEXTS, exact=True) == expected
    assert len(set(expected)) == len(TEXTS)


@pytest.mark.parametrize("batch_size", [2, 3, 5])
def test_a_batch_with_padding_gives_what_each_prompt_gives_alone(tiny, batch_size):
    alone = tokens(tiny, TEXTS, exact=True)

    assert tokens(tiny, TEXTS, exact=True, section={"batch_size": batch_size}) == alone


def test_a_graph_without_cache_gives_the_same(tiny, tiny_without_cache):
    section = {"batch_size": 3}
    with_cache = tokens(tiny, TEXTS, section=section)

    assert tokens(tiny_without_cache, TEXTS, section=section) == with_cache


def with_end(tiny, folder, end):
    """The same model with another end-of-sequence token."""
    folder.mkdir()
    (folder / "model.onnx").write_bytes((tiny / "model.onnx").read_bytes())
    config = json.loads((tiny / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "eos_token_id": end}))
    return folder


def test_outputs_end_with_the_end_token(tiny, tmp_path):
    free = tokens(tiny, TEXTS, exact=True)
    end = free[0][4]
    model = with_end(tiny, tmp_path / "m", [end, 257])
    first = free[0].index(end) + 1
    for batch_size in (1, 5):
        ended = tokens(model, TEXTS, section={"batch_size": batch_size})
        assert ended[0] == free[0][:first]
        for got, whole in zip(ended, free, strict=True):
            assert got == (whole[: whole.index(end) + 1] if end in whole else whole)


def test_ignore_eos_exact_and_min_new_tokens(tiny, tmp_path):
    free = tokens(tiny, TEXTS[:1], exact=True)[0]
    model = with_end(tiny, tmp_path / "m", free[2])

    assert tokens(model, TEXTS[:1], decoder={"ignore_eos": True})[0] == free
    assert tokens(model, TEXTS[:1], exact=True)[0] == free
    longer = tokens(model, TEXTS[:1], decoder={"min_new_tokens": 6})[0]
    assert len(longer) >= 6
    assert free[2] not in longer[:5]


def test_token_times_rise_and_count_the_tokens(tiny):
    for request in outputs(tiny, TEXTS, section={"batch_size": 2}).values():
        times = request.token_times_s
        assert len(times) == request.output_tokens == len(request.token_ids)
        assert times[0] > 0
        assert list(times) == sorted(times)


def test_settings_of_the_session_change_no_token(tiny):
    section = {"intra_op_threads": 1, "graph_optimization": "disabled", "memory_arena": False}

    assert tokens(tiny, TEXTS, section=section) == tokens(tiny, TEXTS)
