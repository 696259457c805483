"""Where a process computes: its device, its threads, and its peak memory."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from llem_core.contracts import MemoryReading, Workload
from llem_core.errors import BackendError

from llem_pytorch.config import PyTorchConfig
from llem_pytorch.model.memory import host_peak
from llem_pytorch.requirements import visible_gpu


@dataclass(frozen=True, slots=True)
class FoundGpus:
    """What there is of NVIDIA's.

    Attributes:
        usable: GPUs that torch can use.
        cuda: version of CUDA that torch was built for; ``None`` for a build without.
        visible: whether the machine shows a GPU at all.
    """

    usable: int
    cuda: str | None
    visible: bool


def find_gpus() -> FoundGpus:
    """Ask torch and the driver's files."""
    usable = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return FoundGpus(usable, torch.version.cuda, visible_gpu())


def choose_device(
    workload: Workload, section: PyTorchConfig, found: FoundGpus | None = None
) -> torch.device:
    """The device of this process: process r of several takes GPU r, round and round.

    Args:
        workload: has this process's rank.
        section: has the device that is asked for.
        found: the GPUs there are; looked for if not given.

    Raises:
        BackendError: CUDA is asked for and torch finds no such device.
    """
    wanted = section.device or "auto"
    found = found or find_gpus()
    count = found.usable
    if wanted == "auto":
        if not count and found.cuda is not None and found.visible:
            raise BackendError(
                f"this machine has an NVIDIA GPU, and torch {torch.__version__} (CUDA "
                f"{found.cuda}) cannot use it; install a newer driver or a torch for an older "
                "CUDA, or take device: cpu"
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


def device_peak(indices: Iterable[int], graphs: bool, cuda: Any = torch.cuda) -> MemoryReading:
    """Peak memory of CUDA devices since their last reset.

    Args:
        indices: the devices.
        graphs: whether CUDA graphs are replayed. Their pools are reserved once, and are no longer
            allocated afterwards.
        cuda: torch's module.
    """
    name = "max_memory_reserved" if graphs else "max_memory_allocated"
    peak = sum(getattr(cuda, name)(index) for index in indices)
    return MemoryReading(peak, f"torch.cuda.{name}, all devices in use")


def release_cache(cuda: Any = torch.cuda) -> None:
    """Give the memory that CUDA's allocator keeps back to the device.

    After an error on the device every call fails, and the message of the first one counts.

    Args:
        cuda: torch's module.
    """
    if cuda.is_initialized():
        with contextlib.suppress(RuntimeError):
            cuda.empty_cache()
