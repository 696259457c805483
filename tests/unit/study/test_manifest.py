from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from llem_core.errors import StudyError
from llem_core.study.record.manifest import MANIFEST, ManifestEntry, load_manifest
from llenergymeasure import ManifestWriter, StudyManifest

A, B = "a" * 16, "b" * 16
FIXED = {"config_hash", "cycle", "status", "result_file", "error"}


def manifest(*entries: ManifestEntry, **fields: object) -> StudyManifest:
    return StudyManifest(
        study_name="s",
        study_design_hash="d" * 16,
        started_at="2026-01-01T00:00:00Z",
        experiments=list(entries),
        **fields,
    )


def runs(n: int = 2) -> list[ManifestEntry]:
    return [ManifestEntry(config_hash=name, cycle=c) for name in (A, B) for c in range(1, n + 1)]


def on_disk(folder: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((folder / MANIFEST).read_text())
    return found


def test_every_transition_is_on_the_disk_when_it_returns(tmp_path: Path) -> None:
    writer = ManifestWriter(tmp_path, manifest(*runs(1)))
    seen = [[entry.status for entry in load_manifest(tmp_path).experiments]]
    writer.mark_running(A, 1, run_id="7")
    entry = load_manifest(tmp_path).experiments[0]
    assert (entry.status, entry.run_id, entry.attempt) == ("running", "7", 1)
    assert entry.started_at is not None
    writer.mark_completed(A, 1, "001_a/result.json")
    writer.mark_running(B, 1)
    seen.append([entry.status for entry in load_manifest(tmp_path).experiments])
    writer.mark_failed(B, 1, "BackendError: first line\nsecond line")
    first, second = load_manifest(tmp_path).experiments
    assert (first.result_file, first.error) == ("001_a/result.json", None)
    assert (second.status, second.error) == ("failed", "BackendError: first line second line")
    assert first.finished_at is not None
    assert seen == [["pending", "pending"], ["completed", "running"]]
    assert load_manifest(tmp_path).status == "running"
    writer.finish("failed")
    assert load_manifest(tmp_path).status == "failed"
    assert load_manifest(tmp_path).finished_at is not None


def test_the_file_has_the_fixed_keys_and_runs_in_their_order(tmp_path: Path) -> None:
    skipped = ManifestEntry(config_hash="c" * 16, cycle=0, status="skipped", error="why")
    ManifestWriter(tmp_path, manifest(*runs(), skipped))
    content = on_disk(tmp_path)
    assert {"status", "study_design_hash", "experiments"} <= set(content)
    entries = content["experiments"]
    assert isinstance(entries, list)
    assert all(set(entry) >= FIXED for entry in entries)
    order = [(entry["config_hash"], entry["cycle"]) for entry in entries]
    assert order == [(A, 1), (A, 2), (B, 1), (B, 2), ("c" * 16, 0)]
    assert [e.key for e in load_manifest(tmp_path).runs()] == order[:4]


def test_transitions_that_cannot_be(tmp_path: Path) -> None:
    writer = ManifestWriter(tmp_path, manifest(*runs(1)))
    with pytest.raises(StudyError, match="is pending and cannot become completed"):
        writer.mark_completed(A, 1, "x")
    writer.mark_running(A, 1)
    with pytest.raises(StudyError, match="is running and cannot become running"):
        writer.mark_running(A, 1)
    writer.mark_interrupted(A, 1)
    with pytest.raises(StudyError, match="is interrupted and cannot become failed"):
        writer.mark_failed(A, 1, "x")
    with pytest.raises(StudyError, match="has no run"):
        writer.mark_running(A, 2)


def test_a_run_is_in_the_manifest_once(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="same configuration and cycle"):
        ManifestWriter(tmp_path, manifest(*runs(1), *runs(1)))


def test_errors_are_cut_to_one_short_line(tmp_path: Path) -> None:
    writer = ManifestWriter(tmp_path, manifest(*runs(1)))
    writer.mark_running(A, 1)
    writer.mark_failed(A, 1, "long " * 10_000)
    error = load_manifest(tmp_path).experiments[0].error
    assert error is not None
    assert len(error) == 400
    assert error.endswith("…")


def test_an_entry_takes_fewer_than_300_bytes(tmp_path: Path) -> None:
    n = 10_000
    entries = [ManifestEntry(config_hash=f"{number:016x}", cycle=3) for number in range(n)]
    writer = ManifestWriter(tmp_path, manifest(*entries))
    name = f"10000_batch_size-1_precision-fp16_{'0' * 16}_c3/result.json"
    for entry in entries[:50]:
        writer.mark_running(*entry.key, run_id=str(4_194_303))
        writer.mark_completed(*entry.key, name)
    lines = (tmp_path / MANIFEST).read_bytes().splitlines()
    longest = max(len(line) for line in lines)
    assert name.encode() in max(lines, key=len)
    assert longest < 300


def test_a_transition_that_cannot_be_written_has_not_happened(tmp_path: Path) -> None:
    code = """
        import resource, sys
        from pathlib import Path
        from llem_core.errors import StudyError
        from llem_core.study.record.manifest import ManifestEntry, StudyManifest, load_manifest
        from llem_core.study.record.manifest import ManifestWriter
        folder = Path(sys.argv[1])
        runs = [ManifestEntry(config_hash=f"{n:016x}", cycle=1) for n in range(100)]
        state = StudyManifest(study_name="s", study_design_hash="d", started_at="x",
                              experiments=runs)
        writer = ManifestWriter(folder, state)
        before = (folder / "manifest.json").read_bytes()
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, -1))
        try:
            writer.mark_running(runs[0].config_hash, 1)
        except StudyError as error:
            print(error)
        assert writer.entry(runs[0].config_hash, 1).status == "pending"
        assert (folder / "manifest.json").read_bytes() == before
        assert sorted(p.name for p in folder.iterdir()) == ["manifest.json"]
        resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
        writer.mark_running(runs[0].config_hash, 1)
        assert load_manifest(folder).experiments[0].status == "running"
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "resume the study" in done.stdout


def test_a_kill_at_any_moment_leaves_a_whole_manifest(tmp_path: Path) -> None:
    code = """
        import sys
        from pathlib import Path
        from llem_core.study.record.manifest import ManifestEntry, StudyManifest
        from llem_core.study.record.manifest import ManifestWriter
        runs = [ManifestEntry(config_hash=f"{n:016x}", cycle=1) for n in range(2000)]
        state = StudyManifest(study_name="s", study_design_hash="d", started_at="x",
                              experiments=runs)
        writer = ManifestWriter(Path(sys.argv[1]), state)
        print("ready", flush=True)
        for run in runs:
            writer.mark_running(run.config_hash, 1)
            writer.mark_failed(run.config_hash, 1, "x")
    """
    for number in range(4):
        folder = tmp_path / str(number)
        folder.mkdir()
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code), str(folder)], stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        with process.stdout:
            process.stdout.readline()
        while len(load_manifest(folder).experiments) and process.poll() is None:
            statuses = {e.status for e in load_manifest(folder).experiments}
            if "failed" in statuses:
                break
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert len(load_manifest(folder).experiments) == 2000


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "no manifest that this version"),
        ('{"status": "running"', "no manifest that this version"),
        ('{"name": "somebody else\'s", "version": 3}', "no manifest that this version"),
        ("[1]", "no manifest that this version"),
    ],
)
def test_what_is_no_manifest_is_refused_with_what_to_do(
    tmp_path: Path, content: str, told: str
) -> None:
    (tmp_path / MANIFEST).write_text(content)
    with pytest.raises(StudyError, match=told) as caught:
        load_manifest(tmp_path)
    assert "anew into another folder" in str(caught.value)


def test_a_newer_manifest_is_refused(tmp_path: Path) -> None:
    content = manifest(*runs(1)).model_dump(mode="json")
    (tmp_path / MANIFEST).write_text(json.dumps({**content, "manifest_version": 3}))
    with pytest.raises(StudyError, match="manifest_version"):
        load_manifest(tmp_path)


def test_a_manifest_of_version_1_is_brought_up_to_date(tmp_path: Path) -> None:
    content = manifest(*runs(1)).model_dump(mode="json")
    del content["launcher"]
    for entry in content["experiments"]:
        del entry["run_id"]
        entry.update(status="running", pid=7)
    (tmp_path / MANIFEST).write_text(json.dumps({**content, "manifest_version": 1}))
    found = load_manifest(tmp_path)
    assert (found.manifest_version, found.launcher) == (2, "local")
    assert found.experiments[0].run_id == "7"


def test_a_folder_without_one_is_no_studys(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="no study's folder"):
        load_manifest(tmp_path)


def test_nothing_runs_in_a_study_that_has_ended(tmp_path: Path) -> None:
    writer = ManifestWriter(tmp_path, manifest(*runs(1)))
    writer.mark_running(A, 1, run_id="7")
    writer.finish("interrupted")
    first, second = load_manifest(tmp_path).experiments
    assert (first.status, second.status) == ("interrupted", "pending")
    assert first.finished_at is not None


def test_time_adds_up_over_starts(tmp_path: Path) -> None:
    ManifestWriter(tmp_path, manifest(*runs(1), elapsed_s=100.0)).finish("interrupted")
    assert 100.0 <= load_manifest(tmp_path).elapsed_s < 200.0


def test_a_folder_that_is_moved_while_its_study_runs_is_told_of(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    folder.mkdir()
    writer = ManifestWriter(folder, manifest(*runs()))
    folder.rename(tmp_path / "moved")
    with pytest.raises(StudyError, match="no longer there; if it was moved") as caught:
        writer.finish("failed")
    assert "room" not in str(caught.value)
