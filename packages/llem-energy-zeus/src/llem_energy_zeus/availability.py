"""Whether Zeus would have anything to read here, found out without importing Zeus.

``ZeusMonitor`` starts without an error on a machine where it can read nothing, and its
import takes seconds, so what it would read is looked for directly: NVML through its binding
and the RAPL files that Zeus opens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path

from llem_core.contracts import Availability, DomainKind

RAPL_FOLDERS = (
    Path("/sys/class/powercap/intel-rapl"),
    # Where Zeus expects the same folder when it was mounted into a container.
    Path("/zeus_sys/class/powercap/intel-rapl"),
)


def zeus_availability(
    rapl_folders: Sequence[Path] = RAPL_FOLDERS,
    count_gpus: Callable[[], tuple[int, str]] | None = None,
) -> Availability:
    """Say whether Zeus can measure here, what, and why or why not.

    Args:
        rapl_folders: where RAPL's zones are; the first that exists counts, as in Zeus.
        count_gpus: gives the number of GPUs with an energy counter, and a clause that says
            so or why there is none; NVML is asked when it is left out.
    """
    try:
        version = metadata.version("zeus")
    except metadata.PackageNotFoundError:
        return Availability(False, "the package zeus is not installed; pip install zeus")
    gpus, gpu_clause = (count_gpus or count_nvml_gpus)()
    packages, has_dram, rapl_clause = read_rapl(rapl_folders)
    domains: list[DomainKind] = []
    if gpus:
        domains.append("gpu")
    if packages:
        domains.append("cpu")
    if has_dram:
        domains.append("dram")
    if not domains:
        return Availability(
            False, f"Zeus {version} has nothing to read: {gpu_clause}; {rapl_clause}"
        )
    return Availability(True, f"Zeus {version}: {gpu_clause}; {rapl_clause}", tuple(domains))


def count_nvml_gpus() -> tuple[int, str]:
    """Count the GPUs whose energy counter NVML can read.

    Returns:
        Their number, and a clause about them for a person.
    """
    try:
        import pynvml
    except ImportError:
        return 0, "the NVML binding is not installed (pip install nvidia-ml-py)"
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return 0, f"no NVIDIA GPU can be read ({error})"
    try:
        total = pynvml.nvmlDeviceGetCount()
        readable = sum(_has_counter(pynvml, index) for index in range(total))
    except pynvml.NVMLError as error:
        return 0, f"the NVIDIA GPUs cannot be listed ({error})"
    finally:
        pynvml.nvmlShutdown()
    if readable == total == 0:
        return 0, "the NVIDIA driver lists no GPU"
    return readable, f"{readable} of {total} NVIDIA GPUs have an energy counter"


def read_rapl(folders: Sequence[Path]) -> tuple[int, bool, str]:
    """Look for RAPL zones whose energy can be read by this user.

    Returns:
        The number of readable packages, whether one has memory below it, and a clause.
    """
    folder = next((folder for folder in folders if folder.exists()), None)
    if folder is None:
        return 0, False, f"no RAPL ({folders[0]} does not exist)"
    zones = sorted(folder.glob("intel-rapl:*"))
    packages = [zone for zone in zones if _kind(zone / "name").startswith("package")]
    readable = [zone for zone in packages if _readable(zone / "energy_uj")]
    if not readable:
        what = f"is not readable by this user ({folder}/*/energy_uj)" if packages else "has none"
        return 0, False, f"no package of RAPL: it {what}"
    has_dram = any(_has_dram(zone) for zone in readable)
    # Some systems show a package twice under one name.
    count, total = (len({_kind(z / "name") for z in some}) for some in (readable, packages))
    part = f" of {total}; the others are not readable ({folder}/*/energy_uj)"
    return count, has_dram, f"RAPL has {count} readable packages{part if count < total else ''}"


def _has_counter(pynvml: object, index: int) -> bool:
    nvml = pynvml
    try:
        handle = nvml.nvmlDeviceGetHandleByIndex(index)  # type: ignore[attr-defined]
        nvml.nvmlDeviceGetTotalEnergyConsumption(handle)  # type: ignore[attr-defined]
    except nvml.NVMLError:  # type: ignore[attr-defined]
        return False
    return True


def _readable(path: Path) -> bool:
    try:
        return float(path.read_text()) >= 0
    except (OSError, ValueError):
        return False


def _has_dram(zone: Path) -> bool:
    return any(
        _kind(name) == "dram" and _readable(name.with_name("energy_uj"))
        for name in zone.glob("intel-rapl:*/name")
    )


def _kind(name: Path) -> str:
    try:
        return name.read_text().strip()
    except OSError:
        return ""
