"""What CodeCarbon would use here, found out without importing CodeCarbon.

What it truly used is only known once it has started; a reading's method comes from there.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from llem_core.contracts import Availability, DomainKind

RAPL_FOLDER = Path("/sys/class/powercap/intel-rapl")


def codecarbon_availability(
    rapl_folder: Path = RAPL_FOLDER,
    find_gpus: Callable[[], tuple[bool, str]] | None = None,
) -> Availability:
    """Say what CodeCarbon would measure and what it would estimate here.

    Args:
        rapl_folder: where RAPL's zones are.
        find_gpus: says whether CodeCarbon would find GPUs, in a clause; looks for the NVIDIA
            driver when it is left out.
    """
    try:
        version = metadata.version("codecarbon")
    except metadata.PackageNotFoundError:
        return Availability(
            False, "the package codecarbon is not installed; pip install llem-energy-codecarbon"
        )
    has_gpus, gpu_clause = (find_gpus or find_nvidia_gpus)()
    cpu_clause = (
        "measures the CPU through RAPL"
        if _rapl_readable(rapl_folder)
        else f"estimates the CPU from its load, as no RAPL is readable ({rapl_folder})"
    )
    domains: tuple[DomainKind, ...] = ("cpu", "dram")
    if has_gpus:
        domains = ("gpu", *domains)
    return Availability(
        True,
        f"CodeCarbon {version} {cpu_clause}, estimates the memory from its size; {gpu_clause}",
        domains,
    )


def find_nvidia_gpus() -> tuple[bool, str]:
    """Say whether CodeCarbon would find NVIDIA GPUs, which takes ``nvidia-smi`` and NVML."""
    try:
        import pynvml
    except ImportError:
        return False, "no GPU (the NVML binding is not installed)"
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return False, f"no GPU ({error})"
    try:
        count = pynvml.nvmlDeviceGetCount()
    except pynvml.NVMLError as error:
        return False, f"no GPU ({error})"
    finally:
        pynvml.nvmlShutdown()
    if count and shutil.which("nvidia-smi") is None:
        return False, "no GPU, as CodeCarbon looks for the command nvidia-smi, which is missing"
    return count > 0, f"{count} GPU through NVML"


def _rapl_readable(folder: Path) -> bool:
    for zone in sorted(folder.glob("intel-rapl:*")):
        try:
            float((zone / "energy_uj").read_text())
        except (OSError, ValueError):
            continue
        return True
    return False
