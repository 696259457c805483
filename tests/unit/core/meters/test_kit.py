"""What samplers share: other processes, throttle names, the presence of a GPU."""

from __future__ import annotations

from pathlib import Path

import pytest
from llem_core.meters import DeviceProcesses, has_nvidia_gpu, other_processes, throttle_names


def proc_of(folder: Path, parents: dict[int, int], namespace: str) -> Path:
    for pid, parent in parents.items():
        (folder / str(pid)).mkdir(parents=True)
        (folder / str(pid) / "stat").write_text(f"{pid} (a name) S {parent} 1 1")
        (folder / str(pid) / "comm").write_text(f"program{pid}\n")
    (folder / "self" / "ns").mkdir(parents=True)
    (folder / "self" / "ns" / "pid").symlink_to(namespace)
    return folder


FAMILY = {1: 0, 10: 1, 20: 10, 30: 20, 40: 1}
MACHINE, CONTAINER = "pid:[4026531836]", "pid:[4026532999]"


def test_other_processes_are_those_outside_the_family(tmp_path: Path) -> None:
    proc = proc_of(tmp_path, FAMILY, MACHINE)
    pids = [40, 30, 20, 10, 1, 99]
    assert other_processes(pids, [], 20, proc) == ("40 program40",)
    assert other_processes(pids, [99], 20, proc) == (
        "40 program40",
        "99 (of another container or user)",
    )


def test_in_a_container_the_machines_numbers_are_not_looked_up(tmp_path: Path) -> None:
    """Our own context has the machine's number 40, which here is some other program's."""
    proc = proc_of(tmp_path, FAMILY, CONTAINER)
    assert other_processes([40], [], 20, proc) == ()
    assert other_processes([40, 555], [555], 20, proc) == ("555 (of another container or user)",)
    assert other_processes([20], [20], 20, proc) == ()


def test_a_system_without_namespaces_has_one_set_of_numbers(tmp_path: Path) -> None:
    proc = proc_of(tmp_path, FAMILY, MACHINE)
    (proc / "self" / "ns" / "pid").unlink()
    assert other_processes([40], [], 20, proc) == ("40 program40",)


def test_every_bit_of_throttling_has_a_name_and_unknown_is_not_none() -> None:
    names = throttle_names(0x7FF)
    assert names is not None
    assert len(names) == 11
    assert names[-2:] == ("board_limit", "reliability")
    assert throttle_names(0) == ()
    assert throttle_names(None) is None


@pytest.mark.parametrize(
    ("paths", "there"),
    [
        (["proc/driver/nvidia/gpus/0000:01:00.0"], True),
        (["dev/nvidia0"], True),
        (["dev/nvidia3"], True),
        (["dev/dxg", "usr/lib/wsl/lib/libcuda.so.1"], True),
        (["dev/dxg"], False),
        (["dev/nvidiactl", "dev/nvidia-uvm"], False),
        (["dev/null"], False),
    ],
)
def test_a_gpu_is_there_where_its_driver_shows_one(
    tmp_path: Path, paths: list[str], there: bool
) -> None:
    for path in paths:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    assert has_nvidia_gpu(tmp_path) == there


def test_a_number_that_came_while_it_was_watched_is_not_anothers_later(tmp_path: Path) -> None:
    proc = proc_of(tmp_path, FAMILY, CONTAINER)

    def watched(at_start: list[int], now: list[int]) -> tuple[str, ...]:
        return DeviceProcesses("GPU-kit", at_start, 20, proc).others(now)

    assert watched([], [555]) == ()
    assert watched([555], [555]) == ()
    assert watched([555, 777], [555, 777]) == ("777 (of another container or user)",)
    # The context is gone; whoever has its number now is another.
    assert watched([], []) == ()
    assert watched([555], [555]) == ("555 (of another container or user)",)
    assert DeviceProcesses("GPU-other", [555], 20, proc).others([555]) != ()
