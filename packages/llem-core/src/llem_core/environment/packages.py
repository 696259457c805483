"""Versions of installed packages, read from their metadata alone."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

NAMES = (
    *("llem-core", "llem-cli", "llem-pytorch"),
    *("llem-energy-nvml", "llem-energy-zeus", "llem-energy-codecarbon"),
    *("torch", "transformers", "tokenizers", "accelerate", "safetensors", "peft", "gguf"),
    *("bitsandbytes", "flash-attn", "triton", "optimum", "vllm", "onnxruntime", "datasets"),
    *("zeus", "codecarbon", "nvidia-ml-py", "numpy", "pydantic", "pluggy", "pyarrow"),
)


def read_packages() -> dict[str, str]:
    """Name to version of those that are installed."""
    found = {}
    for name in NAMES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
