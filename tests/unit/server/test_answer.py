from __future__ import annotations

import json
from typing import Any

import pytest
from llem_core.contracts import RequestOutput, ServedRequest
from llem_server.answer import Answer

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def event(text: str, finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "text": text, "finish_reason": finish}
    return chunk(b"data: " + json.dumps({"choices": [choice], **more}).encode() + b"\n\n")


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def usage(n: int) -> dict[str, Any]:
    return {"usage": {"prompt_tokens": 3, "completion_tokens": n}}


END = chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"


def answered(parts: list[tuple[float, bytes]]) -> RequestOutput:
    answer = Answer(ServedRequest(7, 3, b""), 0.0)
    for time_s, data in parts:
        answer.feed(data, time_s)
    assert answer.output is not None
    return answer.output


def test_each_token_has_the_time_of_its_chunk() -> None:
    output = answered([
        (1.0, HEAD + event("a")), (2.0, event("b")), (3.0, event("c", "length", **usage(3)) + END),
    ])  # fmt: skip
    assert output.error is None
    assert output.token_times_s == (1.0, 2.0, 3.0)
    assert (output.first_token_s, output.ended_s, output.text) == (1.0, 3.0, "abc")


def test_tokens_without_text_at_the_end_came_with_the_end() -> None:
    output = answered([
        (1.0, HEAD + event("a")), (5.0, event("", "stop")), (5.1, event("", **usage(4)) + END),
    ])  # fmt: skip
    assert output.output_tokens == 4
    assert output.ended_s == 5.0
    assert output.token_times_s is None


def test_chunks_that_count_tell_their_tokens_with_and_without_text() -> None:
    answer = Answer(ServedRequest(7, 3, b""), 0.0)
    parts = [
        HEAD + event("", **usage(0)), event("ab", **usage(2)), event("", **usage(3)),
        event("c", "stop", **usage(5)), chunk(b'data: {"choices": [], "usage": '
        b'{"prompt_tokens": 3, "completion_tokens": 5}}\n\n') + END,
    ]  # fmt: skip
    chunks = [c for time_s, part in enumerate(parts) for c in answer.feed(part, float(time_s))]
    assert [(c.time_s, c.tokens) for c in chunks] == [(1.0, 2), (2.0, 1), (3.0, 2)]
    assert answer.output is not None
    assert answer.output.token_times_s == (1.0, 1.0, 2.0, 3.0, 3.0)
    assert (answer.output.first_token_s, answer.output.ended_s) == (1.0, 3.0)


def test_a_total_in_the_last_chunk_alone_is_no_count_of_its_tokens() -> None:
    answer = Answer(ServedRequest(7, 3, b""), 0.0)
    parts = [HEAD + event("ab"), event("cd", "stop", **usage(5)) + END]
    chunks = [c for time_s, part in enumerate(parts) for c in answer.feed(part, float(time_s))]
    assert [(c.time_s, c.tokens) for c in chunks] == [(0.0, None), (1.0, None)]


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_bytes_may_come_in_any_pieces(cut: int) -> None:
    whole = HEAD + event("a") + event("b", "stop", **usage(2)) + END
    pieces = [whole[i : i + cut] for i in range(0, len(whole), cut)]
    output = answered([(float(i), piece) for i, piece in enumerate(pieces)])
    assert output.error is None
    assert output.text == "ab"


@pytest.mark.parametrize(("parts", "kind"), [
    (b"SSH-2.0-OpenSSH\r\n\r\n", "malformed response"),
    (HEAD + b"zz\r\n", "malformed response"),
    (HEAD + b"ffffffffff\r\n", "malformed response"),
    (HEAD + chunk(b"data: " + b"x" * 2**24), "malformed event"),
    (HEAD + chunk(b"data: {oops\n\n"), "malformed event"),
    (HEAD + chunk(b'data: {"error": {"message": "no"}}\n\n'), "server error"),
    (HEAD + event("a", "stop") + END, "no usage"),
    (HEAD + event("a") + b"0\r\n\r\n", "closed early"),
    (b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", "http 404"),
    (b"HTTP/1.1 302 Found\r\nLocation: http://x/\r\nContent-Length: 0\r\n\r\n", "redirect"),
])  # fmt: skip
def test_what_is_no_answer_fails_by_its_kind(parts: bytes, kind: str) -> None:
    assert answered([(1.0, parts)]).error_kind == kind


def test_a_connection_that_closes_in_mid_answer() -> None:
    answer = Answer(ServedRequest(0, 1, b""), 0.0)
    answer.feed(HEAD + event("a"), 1.0)
    answer.closed(2.0)
    assert answer.output is not None
    assert answer.output.error_kind == "closed early"
