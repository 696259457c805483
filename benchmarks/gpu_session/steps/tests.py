"""The project's own tests for a GPU, in their short form."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

from gpu_session.session import Session

ROOT = Path(__file__).resolve().parents[3]
SHORT = "tests/gpu/test_gpu_experiment.py"
_ENDED = (0, 1, 5)
"""Exit codes of a pytest that ran to its end: all passed, some failed, none was found."""


def run(session: Session) -> None:
    """Run them in a process of their own, and note what each came to."""
    report = session.raw / "tests.xml"
    command = [sys.executable, "-m", "pytest", "-m", "gpu", SHORT, "-n0", "-W", "default"]
    # The whole suite's conftest asks for more than a lent machine may have.
    command += ["--confcutdir", str(ROOT / "tests" / "gpu"), "--tb=short", f"--junitxml={report}"]
    command += ["-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    (session.raw / "tests.txt").write_text(done.stdout + done.stderr, encoding="utf-8")
    if done.returncode not in _ENDED:
        raise RuntimeError(f"pytest ended with {done.returncode}: {done.stdout[-1500:]}")
    session.note("tests", outcomes(report))


def outcomes(report: Path) -> list[dict[str, str]]:
    """Name, outcome and message of each test of a JUnit report."""
    found = []
    for case in ET.parse(report).getroot().iter("testcase"):
        told = next((c for c in case if c.tag in {"failure", "error", "skipped"}), None)
        found.append(
            {
                "test": case.get("name", ""),
                "outcome": "passed" if told is None else told.tag,
                "message": "" if told is None else str(told.get("message"))[:500],
                "took_s": case.get("time", ""),
            }
        )
    return found
