"""Real studies, killed and starved at random moments, that must all come to a good end.

Without options, one fault of each kind, the workers' at each step in turn. With ``--full``, 300 at
random: ``pytest tests/faults -s --full --faults 5000 --seed 1`` for more of them, or for the same
ones again (moments depend on the machine, so only the draws are the same).
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import pyarrow.parquet as pq
import pytest
from llem_core.study.record.folders import is_intact
from llem_core.study.record.manifest import StudyManifest, load_manifest
from llenergymeasure import ExperimentResult, StudyResult

HERE = Path(__file__).parent
SHIPPED = "llem-pytorch,llem-energy-nvml,llem-energy-zeus,llem-energy-codecarbon,llem-energy-dcgm"
STEPS = ("load", "prepare", "generate", "generate")
QUICK = (
    *("sigkill", "sigsegv", "memory-error", "memory-limit", "exit-0", "sys-exit"),
    *("half-message", "garbage", "orphans", "raises"),
)
HANGS = ("hang", "hang-in-c", "hang-with-children")
OUTSIDE = ("worker SIGKILL", "SIGINT", "SIGTERM", "SIGKILL", "disk full")
PARENT = {"SIGINT": signal.SIGINT, "SIGTERM": signal.SIGTERM, "SIGKILL": signal.SIGKILL}
TIMEOUT_S, PATIENCE_S, GONE_S = 6.0, 120.0, 15.0
VARIANTS, CYCLES = 4, 2
MOST_SESSIONS = 12


def install(folder: Path) -> None:
    """Lay the plugin's distribution into a folder, as an installer does."""
    shutil.copy(HERE / "faulty_plugin.py", folder)
    info = folder / "llem_faulty-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: llem-faulty\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[llem]\nfaulty = faulty_plugin\n")


def alive(mark: str) -> dict[int, str]:
    """Living processes that carry this study's mark in their environment."""
    needle = f"FAULT_MARK={mark}".encode()
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if needle in (entry / "environ").read_bytes():
                found[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ")
    return found


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """A file system of two megabytes on ``folder``, where this user may mount one."""
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)


@dataclass
class Tally:
    """What was inflicted, over all studies."""

    wanted: int
    inflicted: Counter[str] = field(default_factory=Counter)
    studies: int = 0
    starts: int = 0
    tmpfs: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, kinds: list[str]) -> None:
        with self.lock:
            self.inflicted.update(kinds)

    @property
    def enough(self) -> bool:
        return self.inflicted.total() >= self.wanted


class FaultyStudy:
    """One study, from its first start through all its faults to its end."""

    def __init__(self, root: Path, site: Path, seed: int, tally: Tally, *, disk: bool) -> None:
        self.random = random.Random(seed)
        self.seed = seed
        self.tally = tally
        self.small_disk = disk
        self.mark = uuid.uuid4().hex
        self.output = root / "disk"
        self.plan = root / "plan"
        self.told = root / "stderr"
        (self.plan / "done").mkdir(parents=True)
        self.environment = {
            **os.environ,
            "PYTHONPATH": f"{site}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
            "XDG_CONFIG_HOME": str(root),
            "LLEM_DISABLE_PLUGINS": SHIPPED,
            "FAULT_MARK": self.mark,
            "FAULT_PLAN": str(self.plan),
        }
        self.gap_s = self.random.choice([0, 0, 0.3])
        self.latest_s = 4.0

    @property
    def directory(self) -> Path | None:
        found = [path for path in self.output.iterdir() if path.is_dir()]
        assert len(found) <= 1, "a resumption must not make another folder"
        return found[0] if found else None

    def run(self) -> None:
        """Draw faults for each start until there are enough of them, or the study is completed."""
        draws = (self.draw() for _ in range(MOST_SESSIONS) if not self.tally.enough)
        self.suffer(draws)

    def run_through(self, inside: Sequence[str], outside: str) -> None:
        """Suffer one fault from outside, while the first run is on, and these from inside."""
        self.latest_s = 0.6
        steps = itertools.cycle(STEPS[:3])
        self.lay_out([(next(steps), kind) for kind in inside])
        self.suffer([[outside], *([] for _ in inside)])

    def suffer(self, draws: Iterable[list[str]]) -> None:
        try:
            for outside in draws:
                if self.session(outside, TIMEOUT_S) == 0:
                    break
            for path in self.plan.glob("*_*"):
                path.unlink()
            code = self.session([], PATIENCE_S)
            assert code == 0, self.told.read_text()[-3000:]
            self.check_whole()
        except BaseException as error:
            error.add_note(f"in the study of seed {self.seed}; see {self.output}")
            raise

    def draw(self) -> list[str]:
        """Fill the plugin's list, and say what happens from outside in the next start."""
        kinds = self.random.choices(QUICK, k=self.random.randint(4, 8))
        if self.random.random() < 0.2:
            kinds.append(self.random.choice(HANGS))
        self.random.shuffle(kinds)
        self.lay_out([(self.random.choice(STEPS), kind) for kind in kinds])
        return self.random.choices(OUTSIDE, k=self.random.choice([0, 0, 1, 1, 2]))

    def lay_out(self, inside: list[tuple[str, str]]) -> None:
        """Fill the plugin's list, in this order."""
        for path in self.plan.glob("*_*"):
            path.unlink()
        for number, (step, kind) in enumerate(inside):
            (self.plan / f"{number:02d}_{step}_{kind}").touch()

    def session(self, outside: list[str], timeout_s: float) -> int:
        """One start of the study; gives its exit code."""
        self.tally.starts += 1
        directory = self.directory
        quota = "disk full" in outside and not self.small_disk
        process = self.start(directory, timeout_s, quota=quota)
        inflicted = ["disk full"] if quota else []
        due = [
            (time.monotonic() + self.random.uniform(0.4, self.latest_s), kind)
            for kind in outside
            if not (quota and kind == "disk full")
        ]
        while process.poll() is None:
            self.read_manifest()
            for moment in [each for each in due if each[0] <= time.monotonic()]:
                if self.inflict(moment[1], process):
                    inflicted.append(moment[1])
                    due.remove(moment)
            time.sleep(0.02)
        self.tally.add([*inflicted, *self.suffered()])
        (self.output / "filler").unlink(missing_ok=True)
        self.check_after(process, inflicted)
        return process.returncode

    def start(
        self, directory: Path | None, timeout_s: float, *, quota: bool
    ) -> subprocess.Popen[bytes]:
        request = {
            "study": {
                "name": "faulty",
                "model": "any",
                "backend": "faulty",
                "n": 3,
                "energy": {"sampler": None},
                "warmup": {"enabled": False},
                "sweep": {"faulty.variant": list(range(VARIANTS))},
                "execution": {
                    "n_cycles": CYCLES,
                    "cycle_order": "shuffled",
                    "config_gap_seconds": self.gap_s,
                    "cycle_gap_seconds": self.gap_s,
                    "experiment_timeout_seconds": timeout_s,
                },
            },
            "output": str(self.output),
            "resume": str(directory)
            if directory and (directory / "manifest.json").exists()
            else None,
        }
        if directory is not None and request["resume"] is None:
            shutil.rmtree(directory)  # it was killed before it had written anything
        # No file may grow beyond a few KiB: what a full disk does, where none can be mounted.
        limit = ["bash", "-c", f'ulimit -f {self.random.randint(0, 6)}; exec "$@"', "bash"]
        driver = [sys.executable, str(HERE / "driver.py")]
        with self.told.open("wb") as told:
            return subprocess.Popen(
                [*(limit if quota else []), *driver, json.dumps(request)],
                env=self.environment,
                stdout=told,
                stderr=told,
                start_new_session=True,
            )

    def inflict(self, kind: str, process: subprocess.Popen[bytes]) -> bool:
        if kind in PARENT:
            process.send_signal(PARENT[kind])
            return True
        if kind == "disk full":
            with contextlib.suppress(OSError), (self.output / "filler").open("wb") as filler:
                while True:
                    filler.write(b"x" * 4096)
                    filler.flush()
            return True
        manifest = self.read_manifest()
        entries = manifest.runs() if manifest else ()
        running = [int(e.run_id or 0) for e in entries if e.status == "running"]
        ours = alive(self.mark)
        for keeper in [pid for pid in running if pid in ours]:
            children = Path(f"/proc/{keeper}/task/{keeper}/children")
            with contextlib.suppress(OSError):
                victims = [keeper, *map(int, children.read_text().split())]
                os.kill(self.random.choice(victims[:2]), signal.SIGKILL)
                return True
        return False

    def suffered(self) -> list[str]:
        """Faults that the plugin has taken off its list."""
        done = list((self.plan / "done").iterdir())
        for path in done:
            path.unlink()
        return [path.name.split("_", 2)[2] for path in done]

    def read_manifest(self) -> StudyManifest | None:
        directory = self.directory
        if directory is None or not (directory / "manifest.json").exists():
            return None
        return load_manifest(directory)

    def check_after(self, process: subprocess.Popen[bytes], inflicted: list[str]) -> None:
        """No process is left, and the manifest says how it ended."""
        deadline_s = time.monotonic() + GONE_S
        while (left := alive(self.mark)) and time.monotonic() < deadline_s:
            time.sleep(0.05)
        assert not left, f"left behind after {inflicted}: {left}"
        manifest = self.read_manifest()
        if manifest is None or process.returncode == -signal.SIGKILL or "disk full" in inflicted:
            return
        if manifest.pid != process.pid:
            return  # it was ended before it had begun
        final = {0: {"completed"}, 1: {"failed"}}.get(process.returncode)
        told = self.told.read_text()[-2000:]
        # An interrupt may come when everything is done.
        assert manifest.status in (final or {"interrupted", "completed", "failed"}), told
        assert all(entry.status != "running" for entry in manifest.runs())

    def check_whole(self) -> None:
        """Every run is completed exactly once, with its files whole, and nothing else is there."""
        directory = self.directory
        assert directory is not None
        manifest = load_manifest(directory)
        assert manifest.status == "completed"
        keys = [entry.key for entry in manifest.runs()]
        assert len(keys) == len(set(keys)) == VARIANTS * CYCLES
        files = [entry.result_file for entry in manifest.runs()]
        assert all(entry.status == "completed" for entry in manifest.runs())
        for entry in manifest.runs():
            assert entry.result_file is not None
            assert is_intact(directory, entry.result_file, entry.config_hash, entry.cycle)
            path = directory / entry.result_file
            result = ExperimentResult.model_validate_json(path.read_bytes())
            assert (
                pq.read_table(path.parent / "requests.parquet").num_rows == result.n_requests == 3
            )
        result_file = directory / "study_result.json"
        study = StudyResult.model_validate_json(result_file.read_bytes())
        assert study.summary.n_completed == len(keys)
        assert study.result_files == files
        folders = {path.name for path in directory.iterdir() if path.is_dir()}
        assert folders == {str(file).split("/")[0] for file in files}
        assert not list(directory.glob("**/.*.tmp"))


class Enough(Protocol):
    """Knows whether there were as many faults as are wanted."""

    @property
    def enough(self) -> bool: ...


def until_enough(tally: Enough, study: Callable[[int], None]) -> None:
    """Go through studies by their number, some at a time, until there were faults enough."""
    threads = (os.cpu_count() or 1) + 1

    def worker(first: int) -> None:
        for number in itertools.count(first, threads):
            if tally.enough:
                return
            study(number)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(worker, range(threads)))


@pytest.mark.parametrize("studies", [1, pytest.param(len(OUTSIDE), marks=pytest.mark.full)])
def test_each_kind_of_fault_once(tmp_path: Path, tell: Callable[[str], None], studies: int) -> None:
    """All kinds are shared out among as many studies as there are faults from outside."""
    tally = Tally(wanted=0)
    inflicted: set[str] = set()
    site = tmp_path / "site"
    site.mkdir()
    install(site)

    def study(number: int) -> None:
        root = tmp_path / str(number)
        (root / "disk").mkdir(parents=True)
        inside = (*QUICK, HANGS[0])[number :: len(OUTSIDE)]
        inflicted.update(inside, (OUTSIDE[number],))
        with small_disk(root / "disk") as mounted:
            faulty = FaultyStudy(root, site, number, tally, disk=mounted)
            faulty.run_through(inside, OUTSIDE[number])

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(study, range(studies)))
    tell(", ".join(f"{kind}: {count}" for kind, count in sorted(tally.inflicted.items())))
    assert not inflicted - tally.inflicted.keys()


@pytest.mark.full
@pytest.mark.timeout(3600)
def test_whatever_dies_a_study_comes_to_its_end(
    pytestconfig: pytest.Config, tell: Callable[[str], None]
) -> None:
    seed = pytestconfig.getoption("seed")
    seed = random.randrange(1_000_000) if seed is None else seed
    print(f"seed {seed}")
    tally = Tally(pytestconfig.getoption("faults"))
    started_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="llem-faults-") as folder:
        site = Path(folder) / "site"
        site.mkdir()
        install(site)

        def study(number: int) -> None:
            root = Path(folder) / f"study-{number}"
            (root / "disk").mkdir(parents=True)
            with small_disk(root / "disk") as mounted:
                FaultyStudy(root, site, seed * 1000 + number, tally, disk=mounted).run()
            shutil.rmtree(root)
            tally.studies += 1
            tally.tmpfs = tally.tmpfs or mounted

        until_enough(tally, study)
    full = "a small tmpfs" if tally.tmpfs else "a quota on file size (no tmpfs can be mounted)"
    tell(
        f"{tally.inflicted.total()} faults (seed {seed}) in {tally.studies} studies and "
        f"{tally.starts} starts, {time.monotonic() - started_s:.0f} s; full disk by {full}; "
        "all studies came to their end, whole\n"
        + "\n".join(f"  {kind:<20} {count}" for kind, count in sorted(tally.inflicted.items()))
    )
    assert tally.inflicted.total() >= tally.wanted
