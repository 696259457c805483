"""Environment variables that change speed or devices: a fixed list, never a secret."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

NAMES = (
    *("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "CUDA_LAUNCH_BLOCKING"),
    *("NVIDIA_VISIBLE_DEVICES", "NVIDIA_TF32_OVERRIDE"),
    *("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TOKENIZERS_PARALLELISM"),
    *("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF", "TORCH_CUDNN_V8_API_ENABLED"),
    *("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "ATTN_IMPLEMENTATION"),
)
_CREDENTIALS = re.compile(r"//[^/\s@]+@")


def read_variables(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Those of the list that are set; credentials in an address are struck out."""
    environ = os.environ if environ is None else environ
    return {
        name: _CREDENTIALS.sub("//…@", environ[name])[:200] for name in NAMES if name in environ
    }
