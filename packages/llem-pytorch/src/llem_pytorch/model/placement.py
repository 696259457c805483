"""Where a process computes: its device, its threads, and its peak memory."""

from __future__ import annotations

import os

import torch
from llem_core.contracts import Workload
from llem_core.errors import BackendError

from llem_pytorch.config import PyTorchConfig
from llem_pytorch.model.memory import host_peak
from llem_pytorch.requirements import visible_gpu


def choose_device(workload: Workload, section: PyTorchConfig) -> torch.device:
    """The device of this process: process r of several takes GPU r, round and round.

    Raises:
        BackendError: CUDA is asked for and torch finds no such device.
    """
    wanted = section.device or "auto"
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if wanted == "auto":
        if not count and torch.version.cuda is not None and visible_gpu():
            raise BackendError(
                f"this machine has an NVIDIA GPU, and torch {torch.__version__} (CUDA "
                f"{torch.version.cuda}) cannot use it; install a newer driver or a torch for an "
                "older CUDA, or take device: cpu"
            )
        wanted = "cuda" if count else "cpu"
    if wanted == "cpu":
        return torch.device("cpu")
    if not count:
        raise BackendError("device is cuda, but torch finds no CUDA device; use device: cpu")
    if wanted == "cuda":
        return torch.device("cuda", workload.rank % count)
    device = torch.device(wanted)
    if (device.index or 0) >= count:
        raise BackendError(f"device is {wanted}, but torch finds {count} CUDA devices, from cuda:0")
    return device


def prepare_process(workload: Workload, section: PyTorchConfig, device: torch.device) -> None:
    """Set what torch keeps for the whole process: device, threads, precision of products."""
    if device.type == "cuda":
        # Otherwise whatever names no device, a new stream or event, goes to the first GPU.
        torch.cuda.set_device(device)
    if section.matmul_precision is not None:
        torch.set_float32_matmul_precision(section.matmul_precision)
    if section.num_threads is not None:
        torch.set_num_threads(section.num_threads)
    elif workload.world_size > 1 and "OMP_NUM_THREADS" not in os.environ:
        # Processes that each take all cores would fight for them.
        torch.set_num_threads(max(1, torch.get_num_threads() // workload.world_size))


def peak_so_far() -> int | None:
    """Peak memory of this process in bytes, for a message: of its GPUs if it uses any."""
    if torch.cuda.is_initialized():
        devices = range(torch.cuda.device_count())
        if peak := sum(torch.cuda.max_memory_allocated(index) for index in devices):
            return peak
    return host_peak(was_reset=True).peak_bytes
