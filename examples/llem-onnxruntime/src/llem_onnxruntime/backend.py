"""The backend: greedy decoding on ONNX Runtime's CPU provider."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from pathlib import Path

import onnxruntime as ort
from llem_core.contracts import (
    AttentionShape,
    Batch,
    BatchOutput,
    ComputeShape,
    DeviceInfo,
    InferenceBackend,
    MemoryReading,
    ModelInfo,
    Prompt,
    Purpose,
    RequestOutput,
    Workload,
)
from llem_core.errors import BackendError

from llem_onnxruntime.batching import Encoded, Inputs, group, pad
from llem_onnxruntime.config import OnnxRuntimeConfig
from llem_onnxruntime.decoding import Generated, generate
from llem_onnxruntime.errors import engine_errors
from llem_onnxruntime.files import ModelFiles, find_files
from llem_onnxruntime.graph import GraphFacts, read_graph
from llem_onnxruntime.memory import peak, reset_peak
from llem_onnxruntime.session import Graph, load_graph
from llem_onnxruntime.tokenizer import BYTES, ByteTokenizer, FileTokenizer, Tokenizer


class OnnxRuntimeBackend(InferenceBackend):
    """Runs a causal language model that was exported to ONNX."""

    def __init__(self, workload: Workload) -> None:
        super().__init__(workload)
        assert isinstance(workload.section, OnnxRuntimeConfig)
        self._section = workload.section
        self._graph: Graph | None = None
        self._tokenizer: Tokenizer | None = None
        self._eos_ids: tuple[int, ...] = ()
        self._position_limit: int | None = None
        self._was_reset = False

    def load(self) -> ModelInfo:
        """Load graph and tokenizer."""
        with engine_errors(f"loading {self.workload.model}"):
            files = find_files(self.workload)
            facts = read_graph(files.graph)
            self._graph = load_graph(files.graph, self.workload)
            self._tokenizer = _tokenizer(files, facts)
        self._eos_ids = files.ids("eos_token_id")
        self._position_limit = files.count("max_position_embeddings", "n_positions")
        return self._info(files, facts, self._graph)

    def prepare(self, prompts: Sequence[Prompt], purpose: Purpose) -> Sequence[Batch]:
        """Tokenise, cut, group and pad."""
        del purpose  # nothing is kept between batches
        encoded = [self._encode(prompt) for prompt in prompts]
        return [self._batch(rows) for rows in group(encoded, self._section.batch_size)]

    def generate(self, batch: Batch) -> Generated:
        """Run one batch; the CPU provider has finished when it returns."""
        assert self._graph is not None, "load comes first"
        with engine_errors("generating"):
            return generate(self._graph, batch.payload)

    def collect(self, batch: Batch, raw: object) -> BatchOutput:
        """Count each request's tokens up to its own end."""
        assert isinstance(raw, Generated)
        assert self._tokenizer is not None
        inputs: Inputs = batch.payload
        requests = []
        rows = zip(batch.indices, batch.input_tokens, raw.tokens.tolist(), strict=True)
        for index, input_tokens, row in rows:
            ids = _until_end(row, inputs.eos_ids)
            times_s = tuple(raw.times_s[: len(ids)])
            requests.append(
                RequestOutput(
                    index=index,
                    input_tokens=input_tokens,
                    output_tokens=len(ids),
                    started_s=raw.started_s,
                    ended_s=times_s[-1],
                    token_times_s=times_s,
                    token_ids=tuple(ids),
                    text=self._tokenizer.decode(ids),
                )
            )
        return BatchOutput(tuple(requests))

    def reset_peak_memory(self) -> None:
        """Count the process's peak afresh."""
        self._was_reset = reset_peak()

    def memory(self) -> MemoryReading:
        """Peak memory of the process since the last reset."""
        return peak(self._was_reset)

    def unload(self) -> None:
        """Free the session and its memory."""
        self._graph = self._tokenizer = None

    def _encode(self, prompt: Prompt) -> Encoded:
        assert self._tokenizer is not None, "load comes first"
        if prompt.synthetic_tokens is not None:
            seed = f"{self.workload.random_seed}-{prompt.index}"
            full = self._tokenizer.synthetic(prompt.synthetic_tokens, seed)
        else:
            full = self._tokenizer.encode(prompt.text or "")
        ids = full[: self.workload.max_input_tokens]
        if not ids:
            raise BackendError(f"prompt {prompt.index} has no tokens")
        limit, needed = self._position_limit, len(ids) + prompt.max_new_tokens
        if limit is not None and needed > limit:
            raise BackendError(
                f"prompt {prompt.index} and its output need {needed} positions and the model has "
                f"{limit}; lower max_input_tokens or max_output_tokens"
            )
        cut = len(full) > len(ids)
        return Encoded(prompt.index, ids, cut, prompt.max_new_tokens, prompt.exact_output)

    def _batch(self, rows: Sequence[Encoded]) -> Batch:
        ids, mask = pad(rows)
        endless = rows[0].exact or self.workload.decoder.ignore_eos
        least = min(self.workload.decoder.min_new_tokens or 0, rows[0].max_new_tokens)
        eos_ids = () if endless else self._eos_ids
        return Batch(
            indices=tuple(row.index for row in rows),
            input_tokens=tuple(len(row.ids) for row in rows),
            payload=Inputs(ids, mask, rows[0].max_new_tokens, least, eos_ids),
            padded_tokens=ids.size,
            truncated=sum(row.truncated for row in rows),
        )

    def _info(self, files: ModelFiles, facts: GraphFacts, graph: Graph) -> ModelInfo:
        options = graph.session.get_session_options()
        return ModelInfo(
            parameters=facts.parameters,
            parameters_non_embedding=facts.parameters_non_embedding,
            n_layers=graph.layers or files.count("num_hidden_layers", "n_layer"),
            compute=_compute(files, facts, graph),
            dtype=facts.dtype,
            weights_bytes=facts.weights_bytes,
            devices=(DeviceInfo("cpu", _cpu_name()),),
            random_weights=facts.properties.get("random_weights") == "true",
            effective_settings={
                "onnxruntime": ort.__version__,
                "graph": files.graph.name,
                "opset": facts.opset,
                "providers": list(graph.session.get_providers()),
                "graph_optimization": str(options.graph_optimization_level).rpartition(".")[2],
                # 0 is what ONNX Runtime calls its own choice: a thread a physical core.
                "intra_op_threads": options.intra_op_num_threads or None,
                "memory_arena": bool(options.enable_cpu_mem_arena),
                "kv_cache": bool(graph.past),
                "tokenizer": str(files.tokenizer.name) if files.tokenizer else "bytes",
            },
            notes=tuple(_notes(files, facts, graph)),
        )


def _tokenizer(files: ModelFiles, facts: GraphFacts) -> Tokenizer:
    if files.tokenizer is not None:
        try:
            return FileTokenizer(files.tokenizer)
        except ImportError as error:
            raise BackendError(
                f"{files.tokenizer} needs the package tokenizers; run "
                "`pip install llem-onnxruntime[tokenizers]`"
            ) from error
    if facts.vocabulary is not None and facts.vocabulary < BYTES:
        raise BackendError(
            f"{files.graph} tells {facts.vocabulary} tokens apart, too few for bytes, and there is "
            "no tokenizer.json beside it; set onnxruntime.tokenizer"
        )
    return ByteTokenizer(files.ids("bos_token_id"))


def _compute(files: ModelFiles, facts: GraphFacts, graph: Graph) -> ComputeShape | None:
    heads = files.count("num_attention_heads", "n_head")
    hidden = files.count("hidden_size", "n_embd")
    layers = graph.layers or files.count("num_hidden_layers", "n_layer")
    parameters, vocabulary = facts.parameters_non_embedding, facts.vocabulary
    if not (heads and hidden and layers and parameters and vocabulary):
        return None
    width = heads * (files.count("head_dim") or hidden // heads)
    return ComputeShape(
        matrix_parameters=parameters,
        output_projection_parameters=vocabulary * hidden,
        attention=(AttentionShape(layers, width, width),),
        projects_every_prompt_position=True,
        keeps_cache=bool(graph.past),
    )


def _notes(files: ModelFiles, facts: GraphFacts, graph: Graph) -> list[str]:
    notes = []
    if not graph.past:
        notes.append(
            "The graph has no key-value cache: every token runs the whole sequence again. Export "
            "it with a cache."
        )
    if files.tokenizer is None and (facts.vocabulary or BYTES) > 2 * BYTES:
        notes.append(
            "There is no tokenizer.json: a token is a byte, which is not what the model learned."
        )
    if facts.parameters is None:
        notes.append("The weights are packed: their number, and with it FLOPs, is not known.")
    return notes


def _until_end(row: list[int], eos_ids: Sequence[int]) -> list[int]:
    for position, token in enumerate(row):
        if token in eos_ids:
            return row[: position + 1]
    return row


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
