"""Whether an NVIDIA GPU is there, from the files of its driver: no library is loaded."""

from __future__ import annotations

from pathlib import Path


def has_nvidia_gpu(root: Path = Path("/")) -> bool:
    """Whether the system shows an NVIDIA GPU to this process.

    The driver lists cards under ``/proc/driver/nvidia/gpus``, which a container may lack; a
    container may have been given any one card (``/dev/nvidia3``); WSL has ``/dev/dxg``.

    Args:
        root: of the file system.
    """
    if any((root / "proc/driver/nvidia/gpus").glob("*")):
        return True
    cards = (path.name.removeprefix("nvidia") for path in (root / "dev").glob("nvidia[0-9]*"))
    return any(name.isdigit() for name in cards) or (
        (root / "dev/dxg").exists() and any((root / "usr/lib/wsl/lib").glob("libcuda.so*"))
    )
