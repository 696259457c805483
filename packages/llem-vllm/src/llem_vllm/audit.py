"""What becomes of every argument of vLLM: mapped to a field, owned by the harness, or left out.

A test holds these tables against the installed vLLM: a new upstream field, or an entry that
upstream no longer has, fails it by name.
"""

from __future__ import annotations

from collections.abc import Collection

from llem_vllm.fields import VllmFields

_OWN_FIELDS = frozenset({"apply_chat_template"})

ENGINE_MAPPED = {
    "model": "model",
    "dtype": "precision",
    "seed": "random_seed",
    "enable_lora": "lora",
    "max_lora_rank": "lora",
    **{name: f"vllm.{name}" for name in VllmFields.model_fields if name not in _OWN_FIELDS},
}
"""Fields of ``AsyncEngineArgs`` with a typed field of an experiment."""

_TOKENS = "prompts are given as tokens, and outputs are counted as tokens"
_STATS = "the harness reads the engine's figures itself"
_LOGS = "what vLLM prints is captured, not formatted"

ENGINE_HARNESS = {
    "aggregate_engine_logging": _STATS,
    "disable_log_stats": _STATS,
    "enable_log_requests": _LOGS,
    "enable_prompt_embeds": _TOKENS,
    "generation_config": "always `vllm`: a checkpoint's own sampling must not leak into a run",
    "hf_token": "a secret: log in with the hub's own tool, never through a file that is recorded",
    "log_config_file": _LOGS,
    "log_level": _LOGS,
    "logging_config": _LOGS,
    "max_num_queued_reqs": "a refused request would be a fault of the run",
    "max_num_queued_tokens": "a refused request would be a fault of the run",
    "override_generation_config": "made from decoder; see arguments.py",
    "runner": "always `generate`",
    "served_model_name": "there is no server",
    "skip_tokenizer_init": _TOKENS,
    "stream_interval": "1: each token is handed over when it is there, so that its time is true",
    "tokens_only": _TOKENS,
    "use_tqdm_on_load": "nothing is printed while loading",
    "worker_extension_cls": "the harness reads memory and devices of each worker through it",
}
"""Fields of ``AsyncEngineArgs`` that the harness sets or that no one may."""

_PASSABLE = "use passthrough_kwargs"
_MEDIA = "for images, sound and video; prompts are text"
_SERVER = "for vLLM's own servers, of which there are none in process"
_SEVERAL = "several engines behind one client; run one engine for each experiment"
_NODES = "several nodes; the processes of another machine could not be measured"
_TELEMETRY = "would send or print figures from within the measured process"
_TRANSFER = "moves weights or caches between engines"
_OBJECTS = "an object of a running program"
_SLEEP = "puts an engine to sleep and wakes it, which a measured one does not"
_WATERMARK = "marks the outputs, which is work of its own"
_LOADING = "changes loading, which is not measured"


def _all(reason: str, *names: str) -> dict[str, str]:
    return dict.fromkeys(names, reason)


ENGINE_PASSABLE = {
    **_all(
        _PASSABLE,
        *("config_format", "hf_config_path", "hf_overrides", "model_class_overrides"),
        *("quantization_config", "allow_deprecated_quantization", "kv_cache_dtype_skip_layers"),
        *("ir_op_priority", "attention_config", "kernel_config", "mamba_config", "engram_config"),
        *("enable_flashinfer_autotune", "sparse_indexer_topk_backend", "additional_config"),
        *("prefix_caching_hash_algo", "prefix_cache_retention_interval", "prefix_match_unit"),
        *("max_num_scheduled_tokens", "max_num_active_seqs", "watermark"),
        *("long_prefill_token_threshold_adaptive", "prefill_schedule_interval"),
        *("scheduling_policy", "scheduler_cls", "disable_hybrid_kv_cache_manager"),
        *("offload_backend", "cpu_offload_params", "offload_group_size", "offload_num_in_group"),
        *("offload_prefetch_step", "offload_params", "kv_offloading_size"),
        *("kv_offloading_backend", "kv_sharing_fast_prefill", "swa_bounded_replay"),
        *("speculative_config", "diffusion_config", "use_fp64_gumbel", "enable_cumem_allocator"),
        *("gdn_prefill_backend", "kda_prefill_backend", "kda_decode_backend", "mamba_backend"),
        *("mamba_cache_dtype", "mamba_ssm_cache_dtype", "mamba_block_size", "mamba_cache_mode"),
        *("enable_mamba_shared_prefix_checkpoint", "mamba_ssu_algorithm", "use_replayssm"),
        *("replayssm_buffer_len", "enable_mamba_cache_stochastic_rounding"),
        *("mamba_cache_philox_rounds", "prefill_context_parallel_size"),
        *("decode_context_parallel_size", "dcp_comm_backend", "dcp_q_replicate"),
        *("dcp_kv_cache_interleave_size", "cp_kv_cache_interleave_size", "enable_hc_sp"),
        *("enable_batch_sharded_sampling", "enable_ep_weight_filter", "all2all_backend"),
        *("enable_dbo", "ubatch_size", "dbo_decode_token_threshold"),
        *("dbo_prefill_token_threshold", "eplb_config", "enable_eplb"),
        *("expert_placement_strategy", "device_ids", "numa_bind", "numa_bind_nodes"),
        *("numa_bind_cpus", "distributed_timeout_seconds", "cpu_distributed_timeout_seconds"),
        *("master_port", "enable_shm_tensor_arena", "ignore_patterns", "worker_cls"),
        *("model_loader_extra_config", "fail_on_environ_validation", "language_model_only"),
        *("lora_dtype", "lora_target_modules", "fully_sharded_loras", "specialize_active_lora"),
        *("enable_mixed_moe_lora_format", "enable_moe_shared_loras", "jit_monitor_mode"),
    ),
}
"""Fields of ``AsyncEngineArgs`` without a typed field that ``passthrough_kwargs`` may have."""

ENGINE_EXCLUDED = {
    "model_weights": "the model's own; another folder's would not be the model that is named",
    "tokenizer": "the model's own, so that every backend reads the same tokens",
    "tokenizer_mode": "the model's own, so that every backend reads the same tokens",
    "convert": "for pooling models",
    "pooler_config": "for pooling models",
    "io_processor_plugin": "for pooling models",
    "max_lora_cls_labels": "for pooling models",
    "download_dir": "set HF_HOME, which all of the hub's tools obey",
    "max_loras": "one adapter a run",
    "max_cpu_loras": "one adapter a run",
    "logits_processors": _OBJECTS,
    "structured_outputs_config": "constrains outputs by text, which needs a tokenizer within",
    "reasoning_config": "constrains outputs by text, which needs a tokenizer within",
    "reasoning_parser": "parses outputs, which are counted, not read",
    "reasoning_parser_plugin": "parses outputs, which are counted, not read",
    "max_logprobs": "outputs are counted, not analysed",
    "logprobs_mode": "outputs are counted, not analysed",
    "aux_output_config": "outputs are counted, not analysed",
    "enable_return_routed_experts": "outputs are counted, not analysed",
    "return_sampling_mask": "outputs are counted, not analysed",
    "enable_trace_replay": "replays another run's outputs; nothing would be measured",
    "watermark_config": _WATERMARK,
    **_all(
        _LOADING,
        *("safetensors_load_strategy", "safetensors_prefetch_num_threads"),
        *("safetensors_prefetch_block_size", "max_parallel_loading_workers"),
        *("pt_load_map_location",),
    ),
    **_all(
        _MEDIA,
        *("allowed_local_media_path", "allowed_media_domains", "disable_chunked_mm_input"),
        *("limit_mm_per_prompt", "enable_mm_embeds", "interleave_mm_strings", "media_io_kwargs"),
        *("mm_processor_kwargs", "mm_processor_cache_gb", "mm_processor_cache_type"),
        *("mm_hasher_algorithm", "mm_shm_cache_max_object_size_mb", "mm_encoder_only"),
        *("mm_encoder_tp_mode", "mm_encoder_attn_backend", "mm_encoder_attn_dtype"),
        *("mm_encoder_fp8_scale_path", "mm_encoder_fp8_scale_save_path"),
        *("mm_encoder_fp8_scale_save_margin", "renderer_num_workers", "skip_mm_profiling"),
        *("video_pruning_rate", "video_pruning_method", "mm_tensor_ipc", "mm_processor_device"),
        *("mm_ipc_gpu_memory_gb", "mm_device_do_normalize", "default_mm_loras"),
        *("enable_tower_connector_lora", "enable_mm_processor_stats", "ec_transfer_config"),
        *("ec_manager_config",),
    ),
    **_all(_SERVER, "_api_process_count", "_api_process_rank", "shutdown_timeout"),
    **_all(
        _SEVERAL,
        *("data_parallel_size", "data_parallel_rank", "data_parallel_start_rank"),
        *("data_parallel_size_local", "data_parallel_address", "data_parallel_rpc_port"),
        *("data_parallel_hybrid_lb", "data_parallel_external_lb", "data_parallel_backend"),
        *("data_parallel_multi_port_external_lb", "enable_elastic_ep", "elastic_ep_max_dp_size"),
        *("dp_sync_interval", "disable_nccl_for_dp_synchronization"),
    ),
    **_all(_NODES, "master_addr", "nnodes", "node_rank", "ray_workers_use_nsight"),
    **_all(
        _TELEMETRY,
        *("show_hidden_metrics_for_version", "otlp_traces_endpoint", "collect_detailed_traces"),
        *("per_request_spec_decode_metrics", "kv_cache_metrics", "kv_cache_metrics_sample"),
        *("custom_histogram_buckets", "cudagraph_metrics", "enable_layerwise_nvtx_tracing"),
        *("enable_mfu_metrics", "enable_logging_iteration_details", "jit_monitor_verbose"),
        *("profiler_config",),
    ),
    **_all(
        _TRANSFER,
        *("kv_transfer_config", "kv_events_config", "weight_transfer_config"),
    ),
    **_all(
        _SLEEP,
        *("enable_sleep_mode", "sleep_mode_offload_cudagraph", "sleep_preserve_parameter_names"),
        *("enable_nccl_comm_suspend",),
    ),
    **_all(
        "an engine that recovers from a fault would hide it from the run",
        *("fault_tolerance_config", "enable_fault_tolerance"),
    ),
}
"""Fields of ``AsyncEngineArgs`` without a typed field that nothing sets, and why."""

SAMPLING_MAPPED = {
    "ignore_eos": "decoder.ignore_eos",
    "max_tokens": "max_output_tokens",
    "min_p": "decoder.min_p",
    "min_tokens": "decoder.min_new_tokens",
    "repetition_penalty": "decoder.repetition_penalty",
    "seed": "random_seed",
    "temperature": "decoder.temperature, decoder.do_sample",
    "top_k": "decoder.top_k",
    "top_p": "decoder.top_p",
}
"""Fields of ``SamplingParams`` with a typed field of an experiment."""

SAMPLING_HARNESS = {
    "_all_stop_token_ids": "bookkeeping of vLLM",
    "_bad_words_token_ids": "bookkeeping of vLLM",
    "_eos_token_id": "bookkeeping of vLLM",
    "_watermarking_skipped": "bookkeeping of vLLM",
    "detokenize": "outputs become text after the window",
    "n": "one output a request keeps the token accounting true",
    "output_kind": "the whole output for a batch, each token as it comes under a load",
    "output_text_buffer_length": "bookkeeping of vLLM",
    "skip_clone": "bookkeeping of vLLM",
    "skip_reading_prefix_cache": "set where prompts are run again: warm-up and phase passes",
    "stop_token_ids": "the tokenizer's and the model's end tokens, unless decoder.ignore_eos",
    "stream_interval": "1: each token is handed over when it is there, so that its time is true",
}
"""Fields of ``SamplingParams`` that the harness sets or that no one may."""

_BY_TEXT = "works on text, which needs the tokenizer inside the window"
_ANALYSED = "outputs are counted, not analysed; it would change the work of a step"

SAMPLING_PASSABLE = {
    **_all(
        "changes which tokens come out, not what they cost; use passthrough_kwargs",
        *("presence_penalty", "frequency_penalty", "logit_bias", "allowed_token_ids"),
    ),
    "extra_args": "for plugins of vLLM; use passthrough_kwargs",
}
"""Fields of ``SamplingParams`` without a typed field that ``passthrough_kwargs`` may have."""

SAMPLING_EXCLUDED = {
    **_all(
        _BY_TEXT,
        *("stop", "bad_words", "include_stop_str_in_output", "skip_special_tokens"),
        *("spaces_between_special_tokens", "structured_outputs", "thinking_token_budget"),
    ),
    **_all(
        _ANALYSED,
        *("logprobs", "prompt_logprobs", "prompt_logprob_token_ids", "prompt_logprob_start"),
        *("logprob_token_ids", "flat_logprobs", "routed_experts_prompt_start"),
    ),
    "repetition_detection": "ends outputs by what they say, and lengths would differ by engine",
    "trace_decode_token_ids": "replays another run's outputs; nothing would be measured",
    "watermarking": _WATERMARK,
}
"""Fields of ``SamplingParams`` without a typed field that nothing sets, and why."""

ENGINE = (ENGINE_MAPPED, ENGINE_HARNESS, ENGINE_PASSABLE, ENGINE_EXCLUDED)
SAMPLING = (SAMPLING_MAPPED, SAMPLING_HARNESS, SAMPLING_PASSABLE, SAMPLING_EXCLUDED)


def audit_problems(upstream: Collection[str], tables: Collection[dict[str, str]]) -> list[str]:
    """What tables and upstream do not agree on, each a sentence with a field's name.

    Args:
        upstream: names of the fields that vLLM has.
        tables: ``ENGINE`` or ``SAMPLING``.
    """
    listed = [name for table in tables for name in table]
    twice = sorted({name for name in listed if listed.count(name) > 1})
    return [
        *(f"{name} is new in vLLM: map it, own it, or exclude it" for name in upstream
          if name not in set(listed)),
        *(f"{name} is not in vLLM any more" for name in listed if name not in set(upstream)),
        *(f"{name} is in two tables" for name in twice),
    ]  # fmt: skip


def split_passthrough(kwargs: dict[str, object]) -> tuple[dict[str, object], dict[str, object]]:
    """Divide passthrough arguments into those of ``SamplingParams`` and those of the engine."""
    sampling = {name: value for name, value in kwargs.items() if name in SAMPLING_PASSABLE}
    return sampling, {name: value for name, value in kwargs.items() if name not in sampling}
