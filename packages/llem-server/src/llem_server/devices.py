"""Which devices a server computes on: those on which NVML sees its processes."""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Collection
from pathlib import Path

from llem_core.contracts import DeviceInfo
from llem_core.processes.guard import descendants

from llem_server.address import Address
from llem_server.config import ServerConfig


def devices_of(
    section: ServerConfig, address: Address, pids: Collection[int]
) -> tuple[DeviceInfo, ...]:
    """The server's devices.

    Args:
        section: names them, or not.
        address: of the server; one elsewhere has the devices of its host.
        pids: its processes on this machine.
    """
    host = section.host or (None if address.is_local else address.host)
    if section.devices:
        return tuple(DeviceInfo("gpu", "GPU", uuid, host) for uuid in section.devices)
    if host is not None:
        return (DeviceInfo("cpu", f"unknown device of {host}", None, host),)
    found = _gpus(set(pids))
    return found or (DeviceInfo("cpu", platform.processor() or platform.machine()),)


def family(pid: int) -> set[int]:
    """A process, and all that it started."""
    return {pid, *descendants({pid})}


def listeners(port: int) -> set[int]:
    """Processes of this machine that listen at a port; empty where that cannot be seen."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and int(fields[1].rsplit(":", 1)[1], 16) == port:
                    inodes.add(f"socket:[{fields[9]}]")
    found = set()
    for folder in Path("/proc").glob("[0-9]*") if inodes else ():
        with contextlib.suppress(OSError):
            if any(str(link.readlink()) in inodes for link in (folder / "fd").iterdir()):
                found.add(int(folder.name))
    return found


def has_gpu() -> bool:
    """Whether NVML sees one."""
    with contextlib.suppress(Exception):
        import pynvml

        pynvml.nvmlInit()
        try:
            return int(pynvml.nvmlDeviceGetCount()) > 0
        finally:
            pynvml.nvmlShutdown()
    return False


def _gpus(pids: set[int]) -> tuple[DeviceInfo, ...]:
    found = []
    with contextlib.suppress(Exception):  # no driver, no library: it computes on the CPU
        import pynvml

        pynvml.nvmlInit()
        try:
            for index in range(pynvml.nvmlDeviceGetCount()):
                handle = pynvml.nvmlDeviceGetHandleByIndex(index)
                users = {p.pid for p in pynvml.nvmlDeviceGetComputeRunningProcesses(handle)}
                if users & pids:
                    name, uuid = pynvml.nvmlDeviceGetName(handle), pynvml.nvmlDeviceGetUUID(handle)
                    found.append(DeviceInfo("gpu", str(name), str(uuid)))
        finally:
            pynvml.nvmlShutdown()
    return tuple(found)
