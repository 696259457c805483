"""Versions of installed packages, read from their metadata alone."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, distribution

NAMES = (
    *("llem-core", "llem-cli", "llem-pytorch"),
    *("llem-energy-nvml", "llem-energy-zeus", "llem-energy-codecarbon"),
    *("torch", "transformers", "tokenizers", "accelerate", "safetensors", "peft", "gguf"),
    *("bitsandbytes", "flash-attn", "triton", "optimum", "vllm", "onnxruntime", "datasets"),
    *("zeus", "codecarbon", "nvidia-ml-py", "numpy", "pydantic", "pluggy", "pyarrow"),
)


def read_packages() -> dict[str, str]:
    """Name to version of those that are installed."""
    versions = {name: _version(name) for name in NAMES}
    return {name: version for name, version in versions.items() if version is not None}


def _version(name: str) -> str | None:
    """What ``importlib.metadata.version`` gives, without parsing the description as an e-mail."""
    try:
        headers = (distribution(name).read_text("METADATA") or "").partition("\n\n")[0]
    except (PackageNotFoundError, OSError, UnicodeDecodeError):
        return None
    found = re.search(r"^Version:\s*(\S+)", headers, re.MULTILINE)
    return found[1] if found else None
