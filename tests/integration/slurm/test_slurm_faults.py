"""Studies over a real SLURM that is disturbed at random moments, and must come to a good end.

For a hundred: ``pytest --full -n 0 --slurm-faults 100`` and the path of this file.
"""

from __future__ import annotations

import contextlib
import json
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import pytest
from llem_core.study.record.folders import is_intact
from llem_core.study.record.manifest import StudyManifest, load_manifest

from tests.integration.slurm.conftest import Cluster, Study
from tests.integration.slurm.test_slurm_studies import folder_of, started

pytestmark = [
    pytest.mark.usefixtures("cluster", "installed"),
    pytest.mark.full,
    pytest.mark.timeout(3000),
]
# How often each is drawn. SLURM looks at time limits twice a minute.
KINDS = {"job cancelled": 8, "head SIGKILL": 5, "node lost": 5, "time limit": 2}
WORKER = b"llem_core.study.launch.worker"
MOST_STARTS = 40


class Watch:
    """Looks at the workers of all nodes again and again: how many there are on a node at most."""

    def __init__(self, cluster: Cluster) -> None:
        self._needle = f"SLURM_CONF={cluster.folder}/slurm.conf".encode()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.most = 0
        self.looks = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def workers(self) -> Counter[str]:
        """Workers by node."""
        found: Counter[str] = Counter()
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if WORKER not in (entry / "cmdline").read_bytes():
                    continue
                variables = (entry / "environ").read_bytes().split(b"\0")
                if self._needle in variables:
                    node = next(v for v in variables if v.startswith(b"SLURMD_NODENAME="))
                    found[node.decode()] += 1
        return found

    def _look(self) -> None:
        while not self._stop.wait(0.1):
            self.most = max([self.most, *self.workers().values()])
            self.looks += 1


class Campaign:
    """Faults of all kinds over one study after another, until there are enough."""

    def __init__(
        self, cluster: Cluster, root: Path, content: Study, seed: int, wanted: int
    ) -> None:
        self.cluster = cluster
        self.root = root
        self.content = content
        self.random = random.Random(seed)
        self.wanted = wanted
        self.inflicted: Counter[str] = Counter()
        self.starts = self.studies = self.attempts = 0

    def run(self) -> None:
        while self.inflicted.total() < self.wanted:
            self.studies += 1
            folder = self.root / str(self.studies)
            folder.mkdir()
            self._study(folder)

    def _study(self, folder: Path) -> None:
        content = self.content(
            sweep={"max_output_tokens": [2, 3]},
            patient={"token_time_s": 0.4},
            n_cycles=4,
            cycle_order="interleaved",
        )
        for _ in range(MOST_STARTS):
            self.starts += 1
            # A head that died at once has made no folder to go on with.
            begun = any((folder / "out").glob("*/manifest.json"))
            flags = ("--resume",) if begun else ()
            with started(content, folder, *flags) as head:
                for _ in range(self.random.randint(1, 4)):
                    if self.inflicted.total() >= self.wanted or not self._disturb(head):
                        break
                code = head.wait(240)
            if code == 0:
                break
            assert code in {1, -signal.SIGKILL}, code
        self._check(folder)

    def _disturb(self, head: subprocess.Popen[bytes]) -> bool:
        """Inflict a fault after a while; false where the study was over before."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            head.wait(self.random.uniform(0.5, 5.0))
            return False
        (kind,) = self.random.choices(list(KINDS), list(KINDS.values()))
        if not self._inflict(kind, head):
            return head.poll() is None
        self.inflicted[kind] += 1
        return kind != "head SIGKILL"

    def _inflict(self, kind: str, head: subprocess.Popen[bytes]) -> bool:
        jobs = self.cluster.jobs
        if kind == "head SIGKILL":
            head.kill()
            return True
        if kind == "node lost":
            node = self.random.choice(["n1", "n2"])
            self.cluster("stop-node", node)
            time.sleep(self.random.uniform(0.0, 3.0))
            self.cluster("start-node", node)
            return True
        if not jobs:
            return False
        job = self.random.choice(jobs)
        if kind == "job cancelled":
            return subprocess.run(["scancel", job], check=False).returncode == 0
        command = ["scontrol", "update", f"JobId={job}", "EndTime=now+1seconds"]
        return subprocess.run(command, check=False, capture_output=True).returncode == 0

    def _check(self, folder: Path) -> None:
        """Every pair is there once, whole, and nothing of the study is left anywhere."""
        directory = folder_of(folder / "out")
        manifest: StudyManifest = load_manifest(directory)
        entries = list(manifest.runs())
        assert manifest.status == "completed"
        assert [entry.status for entry in entries] == ["completed"] * 8
        assert len({entry.key for entry in entries}) == 8
        for entry in entries:
            assert entry.result_file is not None
            assert is_intact(directory, entry.result_file, *entry.key)
        result: dict[str, Any] = json.loads((directory / "study_result.json").read_text())
        assert len(set(result["result_files"])) == 8
        assert [one["n_completed"] for one in result["configurations"]] == [4, 4]
        folders = {path.parent.name for path in directory.glob("*/result.json")}
        assert folders == {name.split("/")[0] for name in result["result_files"]}
        self.attempts += sum(entry.attempt for entry in entries)
        assert self.cluster.jobs == []


@pytest.fixture
def idle_cluster(cluster: Cluster) -> Iterator[Cluster]:
    yield cluster
    for node in ("n1", "n2"):
        if not (cluster.folder / f"slurmd.{node}.pid").exists():
            cluster("start-node", node)


def test_faults_of_all_kinds_leave_every_pair_once_and_no_job(
    idle_cluster: Cluster,
    tmp_path: Path,
    study: Study,
    request: pytest.FixtureRequest,
    tell: Callable[[str], None],
) -> None:
    wanted = request.config.getoption("--slurm-faults")
    seed = request.config.getoption("--seed") or random.randrange(1 << 30)
    campaign = Campaign(idle_cluster, tmp_path, study, seed, wanted)
    begun_s = time.monotonic()
    try:
        with Watch(idle_cluster) as watch:
            campaign.run()
    finally:
        tell(
            f"seed {seed}: {campaign.inflicted.total()} faults in {campaign.studies} studies of 8 "
            f"runs, {campaign.starts} starts, {campaign.attempts} attempts, "
            f"{time.monotonic() - begun_s:.0f} s\n"
            f"inflicted: {dict(campaign.inflicted)}\n"
            f"at most {watch.most} workers on a node at once, in {watch.looks} looks"
        )
    assert watch.most == 1
    deadline_s = time.monotonic() + 10
    while watch.workers() and time.monotonic() < deadline_s:
        time.sleep(0.1)
    assert not watch.workers()
