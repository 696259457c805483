"""RAPL's zones, each opened for itself: Zeus gives all of them up where it may not read one.

Who has made the packages readable need not have made their parts readable, nor the platform's zone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A zone that cannot be read.

    Attributes:
        number: of the package that it is, or is a part of.
        name: of the zone, such as ``package-1`` or ``dram``.
        reason: why.
    """

    number: int
    name: str
    reason: str


def open_zones(cpu_module: Any) -> tuple[Any, list[Unreadable]]:
    """Zeus's CPUs with all packages that can be read, and what cannot be.

    They become what Zeus's own monitors read. Zones that Zeus reads through its daemon are left
    to it.

    Args:
        cpu_module: ``zeus.device.cpu``.

    Raises:
        ZeusBaseError: there is no RAPL, or the daemon does not answer.
    """
    from zeus.device.cpu import rapl
    from zeus.utils.zeusd import ZeusdConfig

    if ZeusdConfig.from_env() is not None or not rapl.rapl_is_available():
        return cpu_module.get_cpus(), []
    unreadable: list[Unreadable] = []

    class ReadablePackage(rapl.RAPLCPU):  # type: ignore[misc]
        """A package without those parts that cannot be read."""

        def _get_powerzone(self) -> None:
            self.path = str(Path(self.rapl_dir) / f"intel-rapl:{self.cpu_index}")
            self.rapl_file = rapl.RAPLFile(self.path)
            self.dram = None
            for part in sorted(Path(self.path).glob("intel-rapl:*")):
                if _name(part) == "dram":
                    self.dram = _open(rapl, self.cpu_index, part, unreadable)

    class ReadablePackages(rapl.RAPLCPUs):  # type: ignore[misc]
        """All packages that can be read."""

        def _init_cpus(self) -> None:
            self._cpus = []
            for number, zone in _top_zones(Path(self.rapl_dir)):
                if _open(rapl, number, zone, unreadable) is not None:
                    self._cpus.append(ReadablePackage(number, self.rapl_dir))

    cpus = ReadablePackages()
    cpu_module._cpus = cpus
    return cpus, unreadable


def _top_zones(folder: Path) -> Iterator[tuple[int, Path]]:
    zones = ((zone.name.partition(":")[2], zone) for zone in folder.glob("intel-rapl:*"))
    yield from sorted((int(number), zone) for number, zone in zones if number.isdigit())


def _open(rapl: Any, number: int, zone: Path, unreadable: list[Unreadable]) -> Any:
    """Zeus's file of a zone; ``None`` where it cannot be read, which is noted."""
    try:
        return rapl.RAPLFile(str(zone))
    except Exception as error:  # noqa: BLE001 - Zeus's errors, the file system's, and of a number
        cause = error.__cause__ or error
        reason = getattr(cause, "strerror", None) or f"{type(cause).__name__}: {cause}"
        energy_file = zone / "energy_uj"
        told = f"{energy_file} cannot be read ({reason}); make it readable, such as by chmod"
        unreadable.append(Unreadable(number, _name(zone), told))
        return None


def _name(zone: Path) -> str:
    try:
        return (zone / "name").read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return zone.name
