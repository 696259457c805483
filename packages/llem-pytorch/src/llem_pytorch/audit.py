"""What becomes of every upstream setting: mapped to a field, owned by the harness, or left out.

A test holds these tables against the installed transformers: a new upstream field, or an entry
that upstream no longer has, fails it by name.
"""

from __future__ import annotations

GENERATION_MAPPED = {
    "assistant_confidence_threshold": "pytorch.assistant_confidence_threshold",
    "cache_implementation": "pytorch.cache_implementation",
    "compile_config": "pytorch.torch_compile",
    "disable_compile": "pytorch.torch_compile",
    "do_sample": "decoder.do_sample",
    "early_stopping": "pytorch.early_stopping",
    "eos_token_id": "decoder.ignore_eos",
    "length_penalty": "pytorch.length_penalty",
    "max_matching_ngram_size": "pytorch.max_matching_ngram_size",
    "max_new_tokens": "max_output_tokens",
    "min_new_tokens": "decoder.min_new_tokens",
    "min_p": "decoder.min_p",
    "no_repeat_ngram_size": "pytorch.no_repeat_ngram_size",
    "num_assistant_tokens": "pytorch.num_assistant_tokens",
    "num_assistant_tokens_schedule": "pytorch.num_assistant_tokens_schedule",
    "num_beams": "pytorch.num_beams",
    "prompt_lookup_num_tokens": "pytorch.prompt_lookup_num_tokens",
    "repetition_penalty": "decoder.repetition_penalty",
    "temperature": "decoder.temperature",
    "top_k": "decoder.top_k",
    "top_p": "decoder.top_p",
    "use_cache": "pytorch.use_cache",
}
"""Fields of ``GenerationConfig`` with a typed field of an experiment."""

GENERATION_HARNESS = {
    "_from_model_config": "bookkeeping of transformers",
    "bos_token_id": "prompts are tokenised before generation",
    "is_assistant": "set by transformers on the draft model",
    "num_return_sequences": "one output a request keeps the token accounting true",
    "output_attentions": "outputs are counted, not analysed; it would change the kernels",
    "output_hidden_states": "outputs are counted, not analysed; it would take memory",
    "output_logits": "outputs are counted, not analysed; it would take memory",
    "output_scores": "outputs are counted, not analysed; it would take memory",
    "pad_token_id": "the tokenizer's; padding is masked",
    "return_dict_in_generate": "the harness reads the tokens alone",
    "transformers_version": "bookkeeping of transformers; in the environment snapshot",
}
"""Fields of ``GenerationConfig`` that the harness sets or that no one may."""

_RARE = "changes which tokens come out, not what they cost; use passthrough_kwargs"

GENERATION_EXCLUDED = {
    "assistant_early_exit": "needs models trained for it; use passthrough_kwargs",
    "assistant_ensemble_weight": "a blend of draft and model; use passthrough_kwargs",
    "assistant_lookbehind": "draft models of another vocabulary; use passthrough_kwargs",
    "bad_words_ids": _RARE,
    "begin_suppress_tokens": "for speech models",
    "cache_config": "depends on the cache's kind; use passthrough_kwargs",
    "constraints": "constrained beam search left transformers; its code is on the hub",
    "continuous_batching_config": "for generate_batch, which this backend does not call",
    "decoder_start_token_id": "for encoder-decoder models",
    "diversity_penalty": "group beam search left transformers; its code is on the hub",
    "dola_layers": "DoLa left transformers; its code is on the hub",
    "encoder_no_repeat_ngram_size": "for encoder-decoder models",
    "encoder_repetition_penalty": _RARE,
    "epsilon_cutoff": _RARE,
    "eta_cutoff": _RARE,
    "exponential_decay_length_penalty": _RARE,
    "force_words_ids": "constrained beam search left transformers; its code is on the hub",
    "forced_bos_token_id": "for encoder-decoder models",
    "forced_eos_token_id": _RARE,
    "guidance_scale": "runs the model twice a step; use passthrough_kwargs",
    "low_memory": "contrastive search left transformers; its code is on the hub",
    "max_cache_len": "follows from prompt and output; use passthrough_kwargs",
    "max_length": "max_output_tokens says it without the prompt's length",
    "max_time": "would end requests by the clock, and the work would not be reproducible",
    "min_length": "decoder.min_new_tokens says it without the prompt's length",
    "num_beam_groups": "group beam search left transformers; its code is on the hub",
    "penalty_alpha": "contrastive search left transformers; its code is on the hub",
    "prefill_chunk_size": "use passthrough_kwargs",
    "remove_invalid_values": "hides a broken model",
    "renormalize_logits": _RARE,
    "sequence_bias": _RARE,
    "speculation_type": "follows from assistant_model and prompt_lookup_num_tokens",
    "stop_strings": "stops by text, which needs the tokenizer inside the window",
    "suppress_tokens": _RARE,
    "target_lookbehind": "draft models of another vocabulary; use passthrough_kwargs",
    "token_healing": "rewrites prompts inside the window",
    "top_h": _RARE,
    "typical_p": _RARE,
    "use_mtp": "needs models with multi-token prediction; use passthrough_kwargs",
    "watermarking_config": _RARE,
}
"""Fields of ``GenerationConfig`` without a typed field, and why."""

LOADING_MAPPED = {
    "pretrained_model_name_or_path": "model",
    "adapter_kwargs": "lora",
    "adapter_name": "lora",
    "attn_implementation": "pytorch.attn_implementation",
    "device_map": "pytorch.device_map",
    "dtype": "precision",
    "experts_implementation": "pytorch.experts_implementation",
    "gguf_file": "pytorch.gguf_file",
    "max_memory": "pytorch.max_memory",
    "offload_folder": "pytorch.offload_folder",
    "quantization_config": "pytorch.load_in_4bit, pytorch.load_in_8bit, pytorch.bnb_4bit_*",
    "revision": "pytorch.revision",
    "subfolder": "pytorch.subfolder",
    "trust_remote_code": "pytorch.trust_remote_code",
    "use_safetensors": "pytorch.use_safetensors",
    "variant": "pytorch.variant",
}
"""Arguments of ``from_pretrained`` with a typed field of an experiment."""

LOADING_HARNESS = {
    "config": "loaded with the model, or made from a shape",
    "generation_config": "made from decoder and the pytorch section; see decoding.py",
    "kwargs": "passthrough_kwargs",
    "model_args": "no causal model takes any",
    "_commit_hash": "bookkeeping of transformers",
    "_from_auto": "bookkeeping of transformers",
    "_from_pipeline": "bookkeeping of transformers",
    "output_loading_info": "the harness reads the model alone",
    "token": "a secret: log in with the hub's own tool, never through a file that is recorded",
    "torch_dtype": "former name of dtype",
    "tqdm_class": "nothing is printed while loading",
}
"""Arguments of ``from_pretrained`` that the harness sets or that no one may."""

LOADING_EXCLUDED = {
    "allow_all_kernels": "fetches code from the hub; use passthrough_kwargs",
    "cache_dir": "set HF_HOME, which all of the hub's tools obey",
    "device_mesh": "tensor parallelism needs a launcher of its own",
    "disable_mmap": "changes loading, which is not measured",
    "distributed_config": "tensor parallelism needs a launcher of its own",
    "force_download": "changes loading, which is not measured",
    "fusion_config": "use passthrough_kwargs",
    "ignore_mismatched_sizes": "would measure a model that is not the one named",
    "kernel_config": "fetches code from the hub; use passthrough_kwargs",
    "key_mapping": "for broken checkpoints; use passthrough_kwargs",
    "local_files_only": "set HF_HUB_OFFLINE=1, which all of the hub's tools obey",
    "offload_buffers": "use passthrough_kwargs",
    "proxies": "set HTTPS_PROXY, which all of the hub's tools obey",
    "state_dict": "an object of a running program",
    "tp_plan": "tensor parallelism needs a launcher of its own",
    "tp_size": "tensor parallelism needs a launcher of its own",
    "use_kernels": "fetches code from the hub; use passthrough_kwargs",
    "weights_only": "unpickling arbitrary objects stays forbidden",
}
"""Arguments of ``from_pretrained`` without a typed field, and why."""

FORBIDDEN_PASSTHROUGH = frozenset(
    {
        *GENERATION_MAPPED,
        *GENERATION_HARNESS,
        *LOADING_MAPPED,
        *LOADING_HARNESS,
        *("state_dict", "weights_only", "stop_strings", "max_time", "max_length", "min_length"),
    }
)
"""Names that passthrough_kwargs may not have: another field says it, or nothing may."""


def split_passthrough(kwargs: dict[str, object]) -> tuple[dict[str, object], dict[str, object]]:
    """Divide passthrough arguments into those of ``generate`` and those of ``from_pretrained``.

    A name that ``GenerationConfig`` has goes to the former, every other to the latter.
    """
    generation = {k: v for k, v in kwargs.items() if k in GENERATION_EXCLUDED}
    return generation, {k: v for k, v in kwargs.items() if k not in generation}
