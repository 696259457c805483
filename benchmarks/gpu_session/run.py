"""The whole session in one command, on a machine with a card and without a network.

    python3 benchmarks/gpu_session/run.py --wheels FOLDER --output FOLDER [--deadline 420]

It installs the wheels that came along (``build.py`` makes them), runs the steps of ``scale.py``
in order and leaves two files: ``session.jsonl``, a line a step, and ``session.tar.gz`` with the
same and all raw data, for ``report.py``. ``--rehearse`` runs all of it over a simulated device.
Exit codes: 0 every step is done; 1 one failed, was cut or skipped; 2 the wheels do not install.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gpu_session.log import RAW_NAME, Log
from gpu_session.scale import CARD, REHEARSAL
from gpu_session.stepping import Worker, run_steps

DEADLINE_S = 420.0
BUILD_NAME = "build.json"


class Terminated(BaseException):
    """The session is to end now, with what it has."""


def main(argv: Sequence[str] | None = None) -> int:
    started_s = time.monotonic()
    options = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, _terminate)
    with tempfile.TemporaryDirectory(prefix="gpu-session-") as folder:
        raw = Path(folder) / RAW_NAME
        log = Log(options.output, raw)
        site = Path(folder) / "site"
        why_not = _install(options.wheels, site) if options.wheels else None
        log.append(_heading(options, why_not, time.monotonic() - started_s))
        if why_not:
            print(why_not, file=sys.stderr)
            return 2
        command = [sys.executable, str(Path(__file__).with_name("worker.py"))]
        command += ["--raw", str(raw), "--log", str(log.path)]
        command += ["--rehearse"] if options.rehearse else []
        os.environ.update(_environment(site if options.wheels else None))
        if options.rehearse:
            # Threads that wait for a busy core make a tiny model a hundred times as slow.
            os.environ.setdefault("OMP_NUM_THREADS", "1")
        try:
            statuses = run_steps(
                (REHEARSAL if options.rehearse else CARD).steps,
                lambda: Worker(command, raw / "worker.log"),
                log,
                lambda: options.deadline - (time.monotonic() - started_s),
                lambda text: print(text, flush=True),
            )
        except (Terminated, KeyboardInterrupt):
            return 1
    return int(any(status != "done" for status in statuses.values()))


def _install(wheels: Path, site: Path) -> str | None:
    """Install all wheels of a folder; says why not where that fails."""
    files = sorted(wheels.glob("*.whl"))
    if not files:
        return f"{wheels} has no wheels; build.py makes them"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    command += ["--no-compile", "--no-cache-dir", "--target", str(site), *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else f"the wheels do not install: {done.stderr[-1500:]}"


def _environment(site: Path | None) -> dict[str, str]:
    """Variables of the steps: where packages are found, and that no hub is asked."""
    paths = filter(None, (str(site) if site else "", os.environ.get("PYTHONPATH", "")))
    return {"PYTHONPATH": os.pathsep.join(paths), "HF_HUB_OFFLINE": "1"}


def _heading(options: argparse.Namespace, why_not: str | None, took_s: float) -> dict[str, object]:
    build = options.wheels / BUILD_NAME if options.wheels else None
    return {
        "session": "rehearsal" if options.rehearse else "card",
        "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "deadline_s": options.deadline,
        "install_s": round(took_s, 2) if options.wheels else None,
        "install_failed": why_not,
        "build": json.loads(build.read_text()) if build and build.exists() else None,
    }


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated(number, frame)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--wheels", type=Path, help="what build.py made; without, what is there")
    parser.add_argument("--output", type=Path, required=True, help="folder of log and archive")
    parser.add_argument("--deadline", type=float, default=DEADLINE_S, help="end within (s)")
    parser.add_argument("--rehearse", action="store_true", help="over a simulated device")
    return parser


if __name__ == "__main__":
    sys.exit(main())
