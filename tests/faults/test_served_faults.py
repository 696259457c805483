"""Studies of a server whose server, client and own process are killed at random moments.

Each study goes on with ``--resume`` until it is completed. For two hundred kills, or for the same
ones again (moments depend on the machine, so only the draws are the same):
``pytest -n 0 --full --served-faults 200 --seed 1`` and the path of this file.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from llem_core.study.record.folders import is_intact
from llem_core.study.record.manifest import ManifestEntry, StudyManifest, load_manifest
from llenergymeasure import ExperimentResult, StudyResult

from tests.faults.test_faults import alive, until_enough

pytestmark = [pytest.mark.full, pytest.mark.timeout(3600)]

HERE = Path(__file__).parent
LLEM = Path(sys.executable).with_name("llem")
OWNERS = ("each run", "each cycle", "the test")
"""Who starts the server: it is started for a run, shared by a cycle (`reuse`), or attached to."""
SIGNALS = {
    "server": ("SIGKILL", "SIGKILL", "SIGTERM", "SIGINT", "SIGSEGV"),
    "client": ("SIGKILL", "SIGKILL", "SIGTERM", "SIGINT"),
    "study": ("SIGKILL", "SIGKILL", "SIGTERM", "SIGINT"),
}
CONCURRENCIES, CYCLES = [1, 2], 2
MOST_STARTS, PATIENCE_S, GONE_S = 10, 180.0, 15.0
TOLERANCE_S = 0.1
BY_SIGNAL = r"(was|were) (killed|ended) by (signal )?SIG(KILL|TERM|INT|SEGV)"
TOLD = {
    "server": rf"process (\d+)\)? {BY_SIGNAL}; the end .*slow server: this is process \1",
    "attached": r"[Cc]onnection (refused|reset)|closed early|process \d+ ended in the middle of",
    "client": rf"the process {BY_SIGNAL}|KeyboardInterrupt",
}
"""How the error of a run speaks of what was killed."""


@dataclass
class Tally:
    """What was killed, over all studies, and what became of the runs that were on."""

    wanted: int
    killed: Counter[str] = field(default_factory=Counter)
    became: Counter[str] = field(default_factory=Counter)
    studies: Counter[str] = field(default_factory=Counter)
    starts: int = 0
    manifests: int = 0
    results: int = 0
    failed: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def enough(self) -> bool:
        return self.failed or self.killed.total() >= self.wanted

    def describe(self) -> str:
        lines = [
            f"{self.killed.total()} kills in {self.studies.total()} studies and {self.starts} "
            f"starts; read whole: {self.manifests} manifests, {self.results} results",
            *(f"  {what:<18} {count}" for what, count in sorted(self.killed.items())),
            *(f"  {what}: {count}" for what, count in sorted(self.became.items())),
            *(f"  server started by {who}: {count}" for who, count in self.studies.items()),
        ]
        return "\n".join(lines)


@dataclass(frozen=True)
class Kill:
    """What was killed, when (monotonic s), and the run that was on."""

    what: str
    time_s: float
    run: ManifestEntry | None


class Attached:
    """A server of the test's own, which llem must leave alone."""

    def __init__(self, command: list[str]) -> None:
        self._command = command
        self.process: subprocess.Popen[bytes] | None = None
        self.due_s = 0.0

    def see_to_it(self) -> None:
        """Start it, where it is not there and its time has come."""
        if self.process is None and time.monotonic() >= self.due_s:
            quiet = subprocess.DEVNULL
            self.process = subprocess.Popen(self._command, stdout=quiet, stderr=quiet)

    def kill(self, number: int, back_after_s: float) -> None:
        assert self.process is not None
        self.process.send_signal(number)
        self.process.wait()
        self.process, self.due_s = None, time.monotonic() + back_after_s

    def end(self) -> None:
        if self.process is not None:
            self.kill(signal.SIGKILL, 0.0)


class ServedStudy:
    """One study, from its first start through all the kills to its end."""

    def __init__(self, root: Path, owner: str, seed: int, tally: Tally) -> None:
        self.random = random.Random(seed)
        self.seed, self.owner, self.tally = seed, owner, tally
        self.root, self.output, self.told = root, root / "out", root / "stderr"
        self.servers, self.temporary = root / "servers", root / "tmp"
        for folder in (self.servers, self.temporary):
            folder.mkdir(parents=True)
        self.mark = uuid.uuid4().hex
        self.environment = {
            **os.environ,
            "XDG_CONFIG_HOME": str(root),
            "TMPDIR": str(self.temporary),
            "FAULT_MARK": self.mark,
        }
        self.attached: Attached | None = None
        (root / "study.yaml").write_text(yaml.safe_dump(self._content()))

    def _content(self) -> dict[str, Any]:
        quick = ["--first-token-s", "0.01", "--token-s", "0.004"]
        program = [sys.executable, str(HERE / "slow_server.py"), str(self.servers)]
        start_s = str(round(self.random.uniform(0.0, 0.8), 2))
        server: dict[str, Any] = {"command": [*program, start_s, "--port", "{port}", *quick]}
        if self.owner == "each cycle":
            server["reuse"] = "study"
        elif self.owner == "the test":
            port = str(free_port())
            self.attached = Attached(
                [sys.executable, "-m", "llem_server.testing", "--port", port, *quick]
            )
            server = {"base_url": f"http://127.0.0.1:{port}"}
        return {
            "name": "served",
            "model": "scripted",
            "backend": "server",
            "n": 20,
            "max_output_tokens": 5,
            "server": server,
            "load": {
                "mode": "closed", "concurrency": 1, "ramp_seconds": 0.2,
                "window_seconds": self.random.choice([0.3, 1.5]), "request_timeout_seconds": 5,
            },
            "warmup": {
                "enabled": self.random.random() < 0.5,
                "n_warmup": 2, "convergence_detection": False,
            },
            "baseline": {"enabled": False},
            "energy": {"sampler": None},
            "sweep": {"load.concurrency": CONCURRENCIES},
            "execution": {
                "n_cycles": CYCLES, "cycle_order": "interleaved",
                "config_gap_seconds": self.random.choice([0.0, 0.3]), "cycle_gap_seconds": 0.0,
                "experiment_timeout_seconds": 60, "retries": self.random.choice([0, 1]),
            },
        }  # fmt: skip

    @property
    def directory(self) -> Path | None:
        found = list(self.output.iterdir()) if self.output.exists() else []
        assert len(found) <= 1, "a resumption must not make another folder"
        return found[0] if found else None

    def run(self) -> None:
        try:
            for _ in range(MOST_STARTS):
                n_kills = 0 if self.tally.enough else self.random.randint(1, 5)
                if self._start(n_kills) == 0:
                    break
            else:
                assert self._start(0) == 0, self.told.read_text()[-3000:]
            self._check_end()
        except BaseException as error:
            self.tally.failed = True
            error.add_note(f"in the study of seed {self.seed} ({self.owner}), in {self.root}")
            raise
        finally:
            if self.attached is not None:
                self.attached.end()

    def _start(self, n_kills: int) -> int:
        """Start the study, or go on with it; gives its exit code."""
        self.tally.starts += 1
        directory = self.directory
        if directory is not None and not (directory / "manifest.json").exists():
            shutil.rmtree(directory)  # it was killed before it had written anything
            directory = None
        what = [str(self.root / "study.yaml"), "--output", str(self.output)]
        resume = [] if directory is None else ["--resume", str(directory)]
        if self.attached is not None and not n_kills:
            self.attached.due_s = 0.0
        with self.told.open("wb") as told:
            head = subprocess.Popen(
                [str(LLEM), "run", *what, *resume, "--yes"],
                env=self.environment, stdout=told, stderr=told, start_new_session=True,
            )  # fmt: skip
        kills = list(self._disturb(head, n_kills))
        self._check_nothing_left(head, kills)
        self._check_files(head)
        self._check_runs(head, kills)
        return head.returncode

    def _disturb(self, head: subprocess.Popen[bytes], n_kills: int) -> Iterator[Kill]:
        """Kill at random moments what is there then, until the study's process has ended."""
        give_up_s = time.monotonic() + PATIENCE_S
        what, due_s = self._draw(), time.monotonic() + self.random.uniform(0.3, 3.0)
        while head.poll() is None:
            assert time.monotonic() < give_up_s, self.told.read_text()[-3000:]
            if self.attached is not None:
                self.attached.see_to_it()
            manifest = self._manifest()
            if n_kills and time.monotonic() >= due_s:
                if kill := self._kill(what, head, manifest):
                    n_kills, what = n_kills - 1, self._draw()
                    yield kill
                due_s = time.monotonic() + self.random.uniform(0.05, 2.5 if kill else 0.8)
            time.sleep(0.02)

    def _draw(self) -> str:
        # The study's end is the start's, so that the others come first often enough.
        return self.random.choices(list(SIGNALS), [3, 2, 1])[0]

    def _kill(
        self, what: str, head: subprocess.Popen[bytes], manifest: StudyManifest | None
    ) -> Kill | None:
        """Kill one of the three, if it is there."""
        named = self.random.choice(SIGNALS[what])
        number, back_after_s = signal.Signals[named], self.random.choice([0.0, 0.0, 1.5])
        running = [] if manifest is None else [e for e in manifest.runs() if e.status == "running"]
        time_s = time.monotonic()
        if what == "study":
            head.send_signal(number)
        elif what == "server" and self.attached is not None:
            if self.attached.process is None:
                return None
            self.attached.kill(number, back_after_s)
        elif not self._kill_one(self._servers() if what == "server" else clients(running), number):
            return None
        with self.tally.lock:
            self.tally.killed[f"{what} {named}"] += 1
        return Kill(what, time_s, running[0] if running else None)

    def _kill_one(self, noted: list[int], number: int) -> bool:
        """Kill one of the processes that were noted, if it is still that process."""
        there = [pid for pid in noted if pid in alive(self.mark)]
        with contextlib.suppress(ProcessLookupError, IndexError):
            os.kill(self.random.choice(there), number)
            return True
        return False

    def _servers(self) -> list[int]:
        return [int(path.name) for path in self.servers.glob("[0-9]*")]

    def _manifest(self) -> StudyManifest | None:
        directory = self.directory
        if directory is None or not (directory / "manifest.json").exists():
            return None
        self.tally.manifests += 1
        return load_manifest(directory)

    def _check_nothing_left(self, head: subprocess.Popen[bytes], kills: list[Kill]) -> None:
        give_up_s = time.monotonic() + GONE_S
        while (left := alive(self.mark)) and time.monotonic() < give_up_s:
            time.sleep(0.05)
        assert not left, f"left after {[kill.what for kill in kills]}: {left}"
        if self.attached is not None and self.attached.process is not None:
            assert self.attached.process.poll() is None, "it ended a server that it had not started"
        if head.returncode != -signal.SIGKILL:
            assert not list(self.output.glob("**/.*.tmp"))

    def _check_files(self, head: subprocess.Popen[bytes]) -> None:
        """Whatever was killed: each file that has its name is whole."""
        directory, manifest = self.directory, self._manifest()
        for path in self.output.glob("*/*/result.json"):
            ExperimentResult.model_validate_json(path.read_bytes())
            self.tally.results += 1
        for path in self.output.glob("*/*.error.json"):
            json.loads(path.read_bytes())
        if manifest is None or directory is None:
            return
        for entry in manifest.runs():
            whole = entry.result_file and is_intact(directory, entry.result_file, *entry.key)
            assert whole or entry.status != "completed"
        if head.returncode == -signal.SIGKILL or manifest.pid != head.pid:
            return  # it could not say how it ended, or it had not begun
        told = self.told.read_text()[-2000:]
        expected = {0: {"completed"}, 1: {"failed"}}.get(head.returncode)
        assert manifest.status in (expected or {"interrupted", "completed", "failed"}), told
        assert all(entry.status != "running" for entry in manifest.runs()), told

    def _check_runs(self, head: subprocess.Popen[bytes], kills: list[Kill]) -> None:
        """Each failure names what was killed, and no run outlives the server that it measures."""
        directory, manifest = self.directory, self._manifest()
        if manifest is None or directory is None or manifest.pid != head.pid:
            return
        entries = {entry.key: entry for entry in manifest.runs()}
        for entry in entries.values():
            if entry.status == "failed":
                (file,) = directory.glob(f"*{entry.config_hash}_c{entry.cycle}.error.json")
                message = json.loads(file.read_text())["message"]
                self.tally.became[f"failed, and names the {self._named(message, kills)}"] += 1
        for kill in kills:
            if kill.what == "server" and kill.run is not None:
                entry = entries[kill.run.key]
                if entry.attempt == kill.run.attempt:
                    self._check_outlived(directory, entry, kill)

    def _named(self, message: str, kills: list[Kill]) -> str:
        """What of that which was killed an error speaks of."""
        flat = " ".join(message.split())
        killed = {kill.what for kill in kills}
        for what in sorted(killed):
            key = "attached" if what == "server" and self.attached else what
            if re.search(TOLD.get(key, "(?!)"), flat):
                return what
        if self.attached is not None and re.search(TOLD["attached"], flat):
            return "server"  # it was killed at an earlier start, and was not back yet
        raise AssertionError(f"after kills of {sorted(killed) or 'nothing'}: {message}")

    def _check_outlived(self, directory: Path, entry: ManifestEntry, kill: Kill) -> None:
        """A run is completed only if its server was there to the end of its window."""
        self.tally.became[f"server killed, run {entry.status}"] += 1
        if entry.status != "completed" or self.attached is not None:
            return
        assert entry.result_file is not None
        table = pq.read_table((directory / entry.result_file).with_name("requests.parquet"))
        rows = [row for row in table.to_pylist() if row["in_window"]]
        assert not [row["error"] for row in rows if row["error"]]
        last_s = max(row["ended_s"] for row in rows)
        assert last_s <= kill.time_s + TOLERANCE_S, f"{last_s - kill.time_s:.3f} s after the kill"

    def _check_end(self) -> None:
        """Every run is there exactly once, whole, and nothing else is."""
        directory, manifest = self.directory, self._manifest()
        assert directory is not None
        assert manifest is not None
        assert manifest.status == "completed"
        entries = list(manifest.runs())
        assert len({entry.key for entry in entries}) == len(CONCURRENCIES) * CYCLES
        assert {entry.status for entry in entries} == {"completed"}
        study = StudyResult.model_validate_json((directory / "study_result.json").read_bytes())
        assert study.summary.n_completed == len(entries)
        assert study.result_files == [entry.result_file for entry in entries]
        folders = {path.name for path in directory.iterdir() if path.is_dir()}
        assert folders == {str(entry.result_file).split("/")[0] for entry in entries}
        assert not list(directory.glob("**/.*.tmp"))
        assert not (left := list(self.temporary.rglob("*"))), left
        for number in self.servers.glob("[0-9]*"):
            other = int(number.read_text())
            assert other not in alive(self.mark)


def clients(running: list[ManifestEntry]) -> list[int]:
    """The processes of the runs that are on: the keeper, and the one that measures."""
    found = [int(entry.run_id) for entry in running if entry.run_id]
    for keeper in list(found):
        with contextlib.suppress(OSError):
            children = Path(f"/proc/{keeper}/task/{keeper}/children").read_text()
            found += [int(child) for child in children.split()[:1]]
    return found


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def test_whoever_is_killed_of_server_client_and_study_nothing_is_left_or_torn(
    pytestconfig: pytest.Config, tell: Callable[[str], None]
) -> None:
    seed = pytestconfig.getoption("seed")
    seed = random.randrange(1_000_000) if seed is None else seed
    print(f"seed {seed}")
    tally = Tally(pytestconfig.getoption("served_faults"))
    started_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="llem-served-faults-") as folder:

        def study(number: int) -> None:
            root, owner = Path(folder) / str(number), OWNERS[number % len(OWNERS)]
            ServedStudy(root, owner, seed * 1000 + number, tally).run()
            shutil.rmtree(root)
            tally.studies[owner] += 1

        try:
            until_enough(tally, study)
        finally:
            tell(f"seed {seed}, {time.monotonic() - started_s:.0f} s: {tally.describe()}")
    assert tally.killed.total() >= tally.wanted
