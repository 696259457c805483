"""FLOP as results state them, against torch's ``FlopCounterMode`` over the same ``generate`` calls.

Each family is a small model with random weights that the PyTorch backend loads and runs. The
counter sees neither fused attention on a CPU nor grouped products of experts, so both kernels
are eager. Eager attention computes the scores of a prompt between all pairs of positions: the
counter is held against ``total_full_attention_flops``; ``total_flops``, with the causal mask,
stands beside it. Run with ``uv run python benchmarks/flops_families.py [family ...]``.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from llem_core.contracts import DecoderConfig, Prompt, Workload
from llem_core.measure.result.flops import FlopsEstimator
from llem_core.results.model import FlopsResult
from llem_pytorch.backend import PyTorchBackend
from llem_pytorch.config import PyTorchConfig
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoConfig

INPUT_TOKENS, OUTPUT_TOKENS = 24, 12
_WIDE = {"hidden_size": 128, "num_attention_heads": 4, "vocab_size": 512}
_PLAIN = {
    **_WIDE,
    "num_hidden_layers": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 256,
    "max_position_embeddings": 512,
}
_GPT = {"n_embd": 128, "n_layer": 4, "n_head": 4, "vocab_size": 512}
_WINDOW = {**_PLAIN, "head_dim": 32, "sliding_window": 16}
_EXPERTS = {
    **_PLAIN,
    "head_dim": 32,
    "num_experts": 8,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 64,
}
_MAMBA = {"mamba_n_heads": 8, "mamba_d_head": 32, "mamba_d_state": 16}

FAMILIES: dict[str, dict[str, Any]] = {
    "gpt2": _GPT,
    "gptj": {**_GPT, "rotary_dim": 16},
    "codegen": {**_GPT, "rotary_dim": 16},
    "gpt_neo": {
        **_WIDE,
        "num_layers": 4,
        "num_heads": 4,
        "attention_types": [[["global", "local"], 2]],
        "window_size": 16,
    },
    "gpt_neox": _PLAIN,
    "opt": {**_WIDE, "num_hidden_layers": 4, "ffn_dim": 256, "word_embed_proj_dim": 128},
    "bloom": {"hidden_size": 128, "n_layer": 4, "n_head": 4, "vocab_size": 512},
    "mpt": {"d_model": 128, "n_layers": 4, "n_heads": 4, "vocab_size": 512},
    "falcon": {**_WIDE, "num_hidden_layers": 4},
    "phi": _PLAIN,
    "phi3": _PLAIN,
    "llama": _PLAIN,
    "granite": _PLAIN,
    "olmo2": _PLAIN,
    "stablelm": _PLAIN,
    "starcoder2": _PLAIN,
    "mistral": _WINDOW,
    "gemma2": _WINDOW,
    "gemma3_text": {**_WINDOW, "layer_types": ["sliding_attention", "full_attention"] * 2},
    "gemma3": {
        "text_config": {**_WINDOW, "layer_types": ["sliding_attention", "full_attention"] * 2},
        "vision_config": {"hidden_size": 64, "num_hidden_layers": 8, "num_attention_heads": 4},
    },
    "qwen3": {**_PLAIN, "head_dim": 32},
    "qwen3_moe": _EXPERTS,
    "olmoe": _EXPERTS,
    "mixtral": {**_PLAIN, "num_local_experts": 4, "num_experts_per_tok": 2},
    "gpt_oss": {**_WINDOW, "num_local_experts": 4, "num_experts_per_tok": 2},
    "deepseek_v3": {
        **_EXPERTS,
        "num_key_value_heads": 4,
        "head_dim": 16,
        "n_routed_experts": 8,
        "n_group": 1,
        "topk_group": 1,
        "first_k_dense_replace": 1,
        "q_lora_rank": 32,
        "kv_lora_rank": 32,
        "qk_rope_head_dim": 16,
        "qk_nope_head_dim": 16,
        "v_head_dim": 32,
    },
    "lfm2": {**_PLAIN, "full_attn_idxs": [1, 3]},
    "jamba": {
        **_PLAIN,
        "attn_layer_period": 4,
        "attn_layer_offset": 1,
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "use_mamba_kernels": False,
    },
    "mamba": {"hidden_size": 128, "num_hidden_layers": 4, "vocab_size": 512},
    "mamba2": {
        "hidden_size": 128,
        "num_hidden_layers": 4,
        "vocab_size": 512,
        "state_size": 16,
        "num_heads": 8,
        "head_dim": 32,
        "n_groups": 1,
    },
    "granitemoehybrid": {
        **_PLAIN,
        **_MAMBA,
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
        "shared_intermediate_size": 64,
        "layer_types": ["mamba", "attention"] * 2,
    },
    "recurrent_gemma": {**_WINDOW, "lru_width": 128, "attention_window_size": 16},
    "qwen3_next": {
        **_EXPERTS,
        "shared_expert_intermediate_size": 64,
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 4,
        "linear_key_head_dim": 32,
        "linear_value_head_dim": 32,
    },
}
"""transformers' name of the architecture, and the dimensions of a small one."""


class Comparison(NamedTuple):
    """FLOP of one family: as a result states them, and as torch counts them."""

    stated: FlopsResult
    counted: float

    @property
    def ratio(self) -> float:
        """Stated over counted, both without the causal mask."""
        return (self.stated.total_full_attention_flops or 0.0) / self.counted


def compare(family: str, folder: Path, requests: int = 1, **section: Any) -> Comparison:
    """Load a family's small model from ``folder``, run it under the counter, and compare.

    Args:
        family: a key of ``FAMILIES``.
        folder: where its configuration is written.
        requests: prompts, all in one batch.
        section: further fields of the section ``pytorch``.
    """
    special = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    config = AutoConfig.for_model(family, **{**special, **FAMILIES[family]})
    config.save_pretrained(folder)
    fields = {"attn_implementation": "eager", "experts_implementation": "eager", **section}
    workload = Workload(
        model=str(folder),
        precision="fp32",
        max_input_tokens=INPUT_TOKENS,
        max_output_tokens=OUTPUT_TOKENS,
        random_seed=1,
        decoder=DecoderConfig(),
        section=PyTorchConfig(
            device="cpu", load_format="dummy", batch_size=requests, torch_compile=False, **fields
        ),
    )
    backend = PyTorchBackend(workload)
    try:
        info = backend.load()
        prompts = [
            Prompt(i, None, OUTPUT_TOKENS, synthetic_tokens=INPUT_TOKENS, exact_output=True)
            for i in range(requests)
        ]
        (batch,) = backend.prepare(prompts, "measured")
        with FlopCounterMode(display=False) as counter:
            backend.generate(batch)
    finally:
        backend.unload()
    stated = FlopsEstimator(info).estimate(
        [INPUT_TOKENS] * requests,
        [OUTPUT_TOKENS] * requests,
        padded_input_tokens=INPUT_TOKENS * requests,
        duration_s=1.0,
        devices=info.devices,
    )
    return Comparison(stated, float(counter.get_total_flops()))


def main() -> None:
    print(f"{INPUT_TOKENS} tokens in, {OUTPUT_TOKENS} out; stated over counted, in MFLOP")
    head = ("counted", "all pairs", "ratio", "causal", "ratio")
    print(f"{'family':<18}" + "".join(f"{name:>10}" for name in head) + "  confidence")
    for family in sys.argv[1:] or FAMILIES:
        with tempfile.TemporaryDirectory() as folder:
            found = compare(family, Path(folder))
        stated = found.stated
        causal, full = stated.total_flops or 0.0, stated.total_full_attention_flops or 0.0
        why = f": {stated.left_out[0]}" if stated.confidence == "low" else ""
        print(
            f"{family:<18}{found.counted / 1e6:>10.2f}{full / 1e6:>10.2f}{found.ratio:>10.4f}"
            f"{causal / 1e6:>10.2f}{causal / found.counted:>10.4f}  {stated.confidence}{why}"
        )


if __name__ == "__main__":
    main()
