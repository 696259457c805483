"""The conformance kit of backends: the rules of what a life gives."""

from __future__ import annotations

import json
from itertools import pairwise

from llem_core.testing.conformance.backend import breach_from
from llem_core.testing.conformance.backend_life import tokens
from llem_core.testing.conformance.engine import EngineRules
from llem_core.testing.conformance.rules import breach, rule, skip

_SLACK_S = 0.05
_BITS_A_PARAMETER = (0.5, 128)


class BackendContract(EngineRules):
    """Checks a backend against its contract, with or without pytest, without any hardware.

    Example::

        class TestScripted(BackendContract):
            spec = scripted_backend()
            missing_model = None

    A backend takes ``model``, a model that loads in seconds, ``section``, the keys of its
    section that the model needs, and ``missing_model``, a name that cannot be loaded. Set
    ``plugin`` to the module that the entry point names, instead of ``spec``, to have that
    checked too.
    """

    @rule("B9", "model-facts", "count what the loaded model has; None for what is not known.")
    def test_b9_model_facts(self) -> None:
        """The facts of the model fit each other: no more parameters without the embedding than
        with it, weights of 0.5 to 128 bits each, at least one device, settings of JSON types.

        FLOPs, utilisation and memory are derived from them.
        """
        info = self.life().info
        whole, part = info.parameters, info.parameters_non_embedding
        if whole is not None and whole <= 0:
            breach(f"parameters is {whole}")
        if whole is not None and part is not None and not 0 < part <= whole:
            breach(f"parameters_non_embedding is {part}, of {whole} parameters")
        if whole and info.weights_bytes is not None:
            bits = 8 * info.weights_bytes / whole
            if not _BITS_A_PARAMETER[0] <= bits <= _BITS_A_PARAMETER[1]:
                breach(f"weights_bytes is {info.weights_bytes}: {bits:.3g} bits a parameter")
        if not info.devices:
            breach("devices is empty")
        json.dumps(info.effective_settings, allow_nan=False)

    @rule("B10", "prompts-once", "put each prompt into exactly one batch, under its `index`.")
    def test_b10_prompts_once(self) -> None:
        """Every prompt is in exactly one batch.

        A prompt that is lost or run twice makes every figure a token wrong.
        """
        life = self.life()
        given = sorted(prompt.index for prompt in life.prompts)
        batched = sorted(index for ran in life.ran for index in ran.batch.indices)
        if given != batched:
            breach(f"prompts {given} became {batched}")

    @rule("B11", "input-counted", "count the tokens after truncation, special ones included.")
    def test_b11_input_counted(self) -> None:
        """A batch has one count of input tokens a prompt, from 1 to `max_input_tokens`, and
        `padded_tokens` is no less than their sum.

        Input tokens, prefill FLOPs and the cost of padding are read from there.
        """
        for ran in self.life().ran:
            batch = ran.batch
            if len(batch.indices) != len(batch.input_tokens):
                breach(f"{len(batch.input_tokens)} counts for {len(batch.indices)} prompts")
            wrong = [n for n in batch.input_tokens if not 1 <= n <= self.max_input_tokens]
            if wrong:
                breach(f"input_tokens has {wrong}; max_input_tokens is {self.max_input_tokens}")
            if batch.padded_tokens < sum(batch.input_tokens):
                breach(f"padded_tokens is {batch.padded_tokens}, of {sum(batch.input_tokens)}")

    @rule("B12", "truncation-counted", "count a prompt in `truncated` when it was cut.")
    def test_b12_truncation_counted(self) -> None:
        """`truncated` counts the prompts that were cut to `max_input_tokens`, and no others.

        The result warns of them: the model has answered another question.
        """
        life = self.life()
        counts = [ran.batch.truncated for ran in life.ran]
        texts = tokens([ran.batch for ran in life.ran[: life.texts]]).values()
        full = sum(count >= self.max_input_tokens for count in texts)
        cut = sum(counts[: life.texts])
        if not 1 <= cut <= full:
            breach(
                f"{cut} prompts are counted as cut; one was far too long, and {full} have "
                f"{self.max_input_tokens} tokens"
            )
        if any(counts[life.texts :]):
            breach("a synthetic prompt, which fits, is counted as cut")

    @rule("B13", "synthetic-exact", "make up `synthetic_tokens` tokens, special ones included.")
    def test_b13_synthetic_exact(self) -> None:
        """A synthetic prompt has exactly as many tokens as it asks for.

        `dataset: synthetic` compares configurations at equal lengths.
        """
        life = self.life()
        counted = tokens([ran.batch for ran in life.ran])
        for prompt in life.prompts:
            asked, got = prompt.synthetic_tokens, counted.get(prompt.index)
            if asked is not None and got is not None and got != asked:
                breach(f"{asked} tokens were asked for, and the prompt has {got}")

    @rule("B14", "output-limit", "stop at the prompt's own `max_new_tokens`.")
    def test_b14_output_limit(self) -> None:
        """No output is longer than its prompt's `max_new_tokens`, which may differ in a batch.

        Tokens beyond it are energy that nobody asked for.
        """
        for prompt, request, _ in self.life().requests():
            if not prompt.exact_output and request.output_tokens > prompt.max_new_tokens:
                breach(f"{request.output_tokens} tokens, of {prompt.max_new_tokens} allowed")

    @rule("B15", "exact-output", "suppress the end-of-sequence token where `exact_output` is set.")
    def test_b15_exact_output(self) -> None:
        """With `exact_output`, an output has exactly `max_new_tokens` tokens.

        Otherwise models are compared at unequal work.
        """
        for prompt, request, _ in self.life().requests():
            if prompt.exact_output and request.output_tokens != prompt.max_new_tokens:
                breach(f"{request.output_tokens} tokens, where {prompt.max_new_tokens} were due")

    @rule("B16", "outputs-complete", "return one RequestOutput for each index, in order.")
    def test_b16_outputs_complete(self) -> None:
        """`collect` gives one output for each request of the batch, in its order.

        An output that is missing or under another's name spoils latencies and counts.
        """
        for ran in self.life().ran:
            got = tuple(request.index for request in ran.output.requests)
            if got != ran.batch.indices:
                breach(f"requests {ran.batch.indices} gave outputs {got}")

    @rule("B17", "token-ids-counted", "give the ids up to the end-of-sequence token, or none.")
    def test_b17_token_ids_counted(self) -> None:
        """Where token ids are given, there are `output_tokens` of them.

        They are the evidence for the count that every figure is divided by.
        """
        for _, request, _ in self.life().requests():
            if request.token_ids and len(request.token_ids) != request.output_tokens:
                breach(f"{len(request.token_ids)} ids for {request.output_tokens} tokens")

    @rule("B18", "token-times-told", "give a time for each token, or None and the reason.")
    def test_b18_token_times_told(self) -> None:
        """A request has one time a token, or none at all and a `times_missing_reason`.

        Latencies are null with that reason; a gap would be read as speed.
        """
        for _, request, ran in self.life().requests():
            times = request.token_times_s
            if request.error is not None:
                continue
            if times is None and not (ran.output.times_missing_reason or "").strip():
                breach("there are no token times, and no times_missing_reason")
            if times is not None and len(times) != request.output_tokens:
                breach(f"{len(times)} times for {request.output_tokens} tokens")

    @rule("B19", "request-times-ordered", "note the moments in the order in which they come.")
    def test_b19_request_times_ordered(self) -> None:
        """A request starts, has its first token, its other tokens, and ends, in this order; it
        has not been queued for a negative time.

        Inter-token latency is the difference of neighbours, and no latency is negative.
        """
        for _, request, _ in self.life().requests():
            tokens_s = request.token_times_s or ()
            if request.first_token_s is not None:
                tokens_s = (request.first_token_s, *tokens_s)
            moments = (request.started_s, *tokens_s, request.ended_s)
            if any(later < earlier for earlier, later in pairwise(moments)):
                breach(f"from its start to its end, the times {moments[:8]} decrease")
            if request.queued_s is not None and request.queued_s < 0:
                breach(f"queued_s is {request.queued_s:g}")

    @rule("B20", "request-times-in-batch", "give times of time.monotonic(), in seconds.")
    def test_b20_request_times_in_batch(self) -> None:
        """A request starts and ends within the time that its batch took.

        Durations, milliseconds, or times of another clock lie far outside of it.
        """
        for _, request, ran in self.life().requests():
            early_s, late_s = ran.started_s - request.started_s, request.ended_s - ran.ended_s
            if early_s > _SLACK_S:
                breach(f"a request started {early_s:g} s before its batch")
            if late_s > _SLACK_S:
                breach(f"a request ended {late_s:g} s after its batch")

    @rule("B21", "memory-told", "give peak_bytes, or None and the reason; never 0 for unknown.")
    def test_b21_memory_told(self) -> None:
        """`memory` gives the peak and where it was read, or `None` and the reason.

        A null in a result has its reason beside it.
        """
        memory = self.life().memory
        if memory is None or not memory.source.strip():
            breach("the source is empty")
        if memory.peak_bytes is None and not (memory.reason or "").strip():
            breach("peak_bytes is None, and there is no reason")
        if memory.peak_bytes == 0:
            breach("peak_bytes is 0; say None and why")

    @rule("B22", "memory-in-bytes", "give bytes of all devices together.")
    def test_b22_memory_in_bytes(self) -> None:
        """The peak is at least half the weights, and below a pebibyte.

        It holds the weights, so anything less is MiB, KiB or one device of several.
        """
        life = self.life()
        peak = life.memory.peak_bytes if life.memory else None
        if not peak:
            skip("it reports no memory")
        weights = life.info.weights_bytes
        if weights and peak < weights / 2:
            breach(f"peak_bytes is {peak}, and the weights alone are {weights} bytes")
        if peak >= 2**50:
            breach(f"peak_bytes is {peak}")

    @rule("B23", "prepare-again", "keep nothing of an earlier call of `prepare`.")
    def test_b23_prepare_again(self) -> None:
        """`prepare` may be called again, and makes the same batches of the same prompts.

        Warm-up and the passes for phase energy prepare batches of their own.
        """
        life = self.life()
        if life.again_error is not None:
            breach_from("the second `prepare`", life.again_error)
        first = tokens([ran.batch for ran in life.ran[: life.texts]])
        again = tokens(life.again)
        if first != again:
            breach(f"input tokens by prompt were {first}, and then {again}")

    @rule("B24", "generate-again", "leave the batch's payload as it is.")
    def test_b24_generate_again(self) -> None:
        """A batch may be generated again, after others, and gives as many tokens where they are
        exact.

        Warm-up runs the very batches that are measured afterwards.
        """
        life = self.life()
        if life.repeated_error is not None:
            breach_from("the second `generate` of a batch", life.repeated_error)
        assert life.repeated is not None
        first, again = (
            [request.output_tokens for request in ran.output.requests]
            for ran in (life.ran[-1], life.repeated)
        )
        if first != again:
            breach(f"a batch gave {first} tokens, and then {again}")

    @rule("B25", "failed-without-tokens", "give a failed request its error, and no tokens.")
    def test_b25_failed_without_tokens(self) -> None:
        """A request with an `error` says what failed, and has no output tokens; the requests of
        these rules do not fail.

        Tokens of a request that nobody got would make the others look cheaper.
        """
        for _, request, _ in self.life().requests():
            if request.error is not None and request.output_tokens:
                breach(f"a failed request has {request.output_tokens} output tokens")
            if request.error is not None:
                breach(f"request {request.index} failed: {request.error or 'no reason is given'}")

    @rule("B26", "input-told-twice", "count a request's input tokens as its batch does.")
    def test_b26_input_told_twice(self) -> None:
        """A request has as many input tokens as its batch said beforehand.

        The one is what was asked for, the other what the engine computed.
        """
        for _, request, ran in self.life().requests():
            said = tokens([ran.batch])[request.index]
            if request.input_tokens != said:
                breach(f"{request.input_tokens} input tokens, and its batch says {said}")

    @rule("B27", "warmup-batches", "return measured batches, or shorter ones of their prompts.")
    def test_b27_warmup_batches(self) -> None:
        """`warmup_batches` gives one batch at least, of prompts that are measured, and `prepare`
        makes a warm-up of others that are as long.

        The warm-up runs prompts like these, and never these: an engine that keeps prefixes would
        get their prefill for nothing afterwards.
        """
        life = self.life()
        if life.again_error is not None:
            skip("B23 prepare-again is broken; mend that first")
        if life.warmup_error is not None:
            breach_from("preparing or running a warm-up", life.warmup_error)
        known = {prompt.index for prompt in life.prompts}
        if not life.wanted:
            breach("`warmup_batches` gave no batch")
        for batch in life.wanted:
            if not batch.indices or not set(batch.indices) <= known:
                breach(f"`warmup_batches` gave a batch of the prompts {batch.indices}")

    @rule("B28", "facts-told", "give facts of JSON types, and notes that are sentences.")
    def test_b28_facts_told(self) -> None:
        """`facts` gives values of JSON types under names, and notes that say something.

        They stand in the result as they are.
        """
        facts = self.life().facts
        assert facts is not None
        try:
            json.dumps(facts.values, allow_nan=False)
        except (TypeError, ValueError) as error:
            breach(f"the values are none that JSON has: {error}")
        if any(not note.strip() for note in facts.notes):
            breach("a note is empty")
