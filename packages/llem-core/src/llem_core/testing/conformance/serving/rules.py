"""The conformance kit of backends that serve requests."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise
from typing import Any, ClassVar

from llem_core.contracts import Prompt, RequestOutput, ServingBackend, Workload
from llem_core.testing.conformance.backend import breach_from
from llem_core.testing.conformance.backend_life import synthetic_prompts, text_prompts
from llem_core.testing.conformance.backend_rules import BackendContract
from llem_core.testing.conformance.rules import breach, rule, skip
from llem_core.testing.conformance.serving.life import Served, serve, serve_again

_SLACK_S = 0.05


class ServingContract(BackendContract):
    """Checks a backend that serves requests: the rules of backends, and those of serving.

    The rules of backends drive it as batches are driven, all requests of a batch at once.

    Example::

        class TestServer(ServingContract):
            spec = scripted_server()
            missing_model = None

    Attributes:
        silence_limit_s: how long it may hand over nothing with requests in flight (s).
    """

    silence_limit_s: ClassVar[float] = 60.0
    _served: ClassVar[Served | Exception]

    def workload(self, **changes: Any) -> Workload:
        """The workload, under a load where the backend says that it serves."""
        under = {"load_mode": "closed"} if self.the_spec().serves else {}
        return super().workload(**(under | changes))

    def served(self) -> Served:
        """The recorded requests; rules that need them are skipped where there are none."""
        record = self._serve_once()
        if isinstance(record, Exception):
            skip("V1 requests-served is broken; mend that first")
        return record

    def _serve_once(self) -> Served | Exception:
        self.life()
        own = type(self)
        if "_served" not in vars(own):
            try:
                own._served = self._serve()
            except Exception as error:  # noqa: BLE001 - V1 judges it
                own._served = error
        return own._served

    def _prompts(self) -> list[Prompt]:
        most = self.max_input_tokens, self.max_output_tokens
        return [*text_prompts(*most), *synthetic_prompts(*most)]

    def _serve(self, cancel: int | None = None) -> Served:
        with self.surroundings():
            backend = self._serving()
            try:
                backend.load()
                return serve(backend, self._prompts(), self.silence_limit_s, cancel)
            finally:
                backend.unload()

    def _serving(self) -> ServingBackend:
        backend = self._usable().create(self.workload())
        if not isinstance(backend, ServingBackend):
            breach(f"`create` gives {type(backend).__name__}, which is no ServingBackend")
        return backend

    @rule("V1", "requests-served", "follow the order in the docstring of ServingBackend.")
    def test_v1_requests_served(self) -> None:
        """Requests that are submitted together are all handed over as `RequestOutput`, without
        error; before the first one nothing arrives.

        A load waits for each of them.
        """
        served = self._serve_once()
        if isinstance(served, Exception):
            raise served
        if served.idle:
            breach(f"{len(served.idle)} arrivals came before anything was submitted")
        failed = [output for output in served.outputs if output.error is not None]
        if failed:
            breach(f"request {failed[0].index} failed: {failed[0].error}")

    @rule("V2", "submit-returns", "hand the request to a thread or an event loop, and return.")
    def test_v2_submit_returns(self) -> None:
        """`submit` returns before the answer is there.

        One that waits sends the next request late: the load is another one than asked for. Of
        several requests at least one must be over only after its `submit` has returned.
        """
        served = self.served()
        ends_s = {output.index: output.ended_s for output in served.outputs}
        late = [i for i, (_, sent_s) in served.sent_s.items() if ends_s.get(i, sent_s) >= sent_s]
        if not late:
            breach("every request was over when its `submit` returned")

    @rule("V3", "request-ends-once", "hand over one RequestOutput for each request, and no other.")
    def test_v3_request_ends_once(self) -> None:
        """Each request that was submitted is handed over exactly once, and nothing of it later.

        A request in flight that is counted twice, or never, makes the concurrency another one.
        """
        served = self.served()
        ends = Counter(output.index for output in served.outputs)
        wrong = {index: n for index, n in ends.items() if n != 1 or index not in served.prompts}
        if wrong:
            breach(f"requests {dict(sorted(wrong.items()))} were handed over so many times")
        over: set[int] = set()
        for _, arrival in served.arrivals:
            if arrival.index in over:
                breach(f"a chunk of request {arrival.index} came after its end")
            if isinstance(arrival, RequestOutput):
                over.add(arrival.index)

    @rule("V4", "chunks-counted", "tell the tokens of each chunk, or None.")
    def test_v4_chunks_counted(self) -> None:
        """Where the chunks of a request tell their tokens, they add up to its output tokens.

        Tokens count by the moment at which they arrived: that is what falls into a window.
        """
        served = self.served()
        for output in served.outputs:
            counts = [chunk.tokens for chunk in served.chunks(output.index)]
            told = [count for count in counts if count is not None]
            if counts and len(told) == len(counts) and sum(told) != output.output_tokens:
                breach(
                    f"request {output.index} has {output.output_tokens} output tokens, and its "
                    f"chunks {sum(told)}"
                )

    @rule("V5", "chunk-times-ordered", "note the time where the chunk arrives, in monotonic s.")
    def test_v5_chunk_times_ordered(self) -> None:
        """A request is sent, has its chunks, and ends, in this order, by `time.monotonic()`; and
        nothing has a time later than its handing over.

        Latency counts from the sending, and tokens are put into windows by these times.
        """
        served = self.served()
        handed_s = {a.index: at for at, a in served.arrivals if isinstance(a, RequestOutput)}
        for output in served.outputs:
            sent_s = served.sent_s[output.index][0] - _SLACK_S
            chunks_s = [chunk.time_s for chunk in served.chunks(output.index)]
            moments = [sent_s, *chunks_s, handed_s[output.index] + _SLACK_S]
            if any(later < earlier for earlier, later in pairwise(moments)):
                breach(f"from its sending to its handing over, the times {moments[:8]} decrease")
            if not sent_s <= output.ended_s <= handed_s[output.index] + _SLACK_S:
                breach(f"request {output.index} ended at {output.ended_s:g}, out of its time")

    @rule("V6", "cancelled-told", "hand over a cancelled request with its `error`.")
    def test_v6_cancelled_told(self) -> None:
        """A request that is cancelled is handed over like any other, with an `error` unless it
        was over already, and the others are served.

        A timeout of one request must not stop the run, and its slot becomes free.
        """
        self.served()
        victim = self._prompts()[-1].index
        try:
            served = self._serve(cancel=victim)
        except Exception as error:  # noqa: BLE001 - a backend may raise anything
            breach_from("after `cancel`", error)
        failed = [o.index for o in served.outputs if o.error is not None and o.index != victim]
        if failed:
            breach(f"requests {failed} failed when {victim} was cancelled")

    @rule("V7", "unload-in-flight", "give up what is in flight, and return.")
    def test_v7_unload_in_flight(self) -> None:
        """`unload` returns while requests are in flight, and raises nothing.

        A run that is interrupted ends so; a window closes before all requests are over.
        """
        self.served()
        with self.surroundings():
            backend = self._serving()
            try:
                backend.load()
                for request in backend.prepare(self._prompts(), "measured"):
                    backend.submit(request)
            finally:
                backend.unload()
            backend.unload()

    @rule("V8", "load-served", "make requests whose payload can be sent any number of times.")
    def test_v8_load_served(self) -> None:
        """For a workload with a load, `create` gives a ServingBackend, and one request can be sent
        again and again under other indices, each time with a whole answer.

        A load sends the prompts over and over for as long as its window takes.
        """
        if not self.the_spec().serves:
            skip("its spec does not say `serves=True`: no load is put on it")
        self.served()
        with self.surroundings():
            backend = self._serving()
            try:
                backend.load()
                again = serve_again(backend, self._prompts()[:2], self.silence_limit_s)
            except Exception as error:  # noqa: BLE001 - a backend may raise anything
                breach_from("when a request was sent again", error)
            finally:
                backend.unload()
        for output in again.outputs:
            if output.error is not None:
                breach(f"request {output.index}, sent for the second time, failed: {output.error}")

    @rule("V9", "counters-count", "count what the engine generates, from its start on.")
    def test_v9_counters_count(self) -> None:
        """`engine_counters` gives finite numbers that never fall; `output_tokens`, where it is
        told, grows by the tokens of the requests that were served in between.

        It stands beside the client's count, as a check that both saw the same work.
        """
        served = self.served()
        before, after = served.counters
        for name, value in {**before, **after}.items():
            if not isinstance(value, int | float) or not math.isfinite(value):
                breach(f"the counter {name!r} is {value!r}")
            if name in before and after.get(name, -math.inf) < before[name]:
                breach(f"the counter {name!r} fell from {before[name]:g}")
        if "output_tokens" in after:
            grown = after["output_tokens"] - before.get("output_tokens", 0.0)
            tokens = sum(output.output_tokens for output in served.outputs)
            if grown != tokens:
                breach(f"output_tokens grew by {grown:g}, and {tokens} were handed over")
