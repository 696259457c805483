"""The program as a process: what it loads, what reaches stdout, and how it ends."""

from __future__ import annotations

import io
import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

SHIPPED = (
    "llem-pytorch,llem-server,llem-energy-nvml,llem-energy-zeus,"
    "llem-energy-codecarbon,llem-energy-dcgm"
)
RUN = ["run", "-m", "any", "-b", "noisy", "-n", "2", "--sampler", "none"]

PLUGIN = """
import os, sys, subprocess, time
from llem_core.contracts import BackendSpec, hookimpl
from llem_core.testing import ScriptedBackend, ScriptedConfig, scripted_backend

LLEM_CONTRACT = 2

class Noisy(ScriptedBackend):
    def load(self):
        print("print")
        os.write(1, b"descriptor\\n")
        subprocess.run([sys.executable, "-S", "-c", "print('child')"])
        return super().load()

    def generate(self, batch):
        if os.environ.get("HANG_AT") == "generate":
            open("hanging", "w").close()
            time.sleep(60)
        if os.environ.get("HANG_AT") == "finaliser":
            class Finalised:
                def __del__(self):
                    open("hanging", "w").close()
                    time.sleep(60)
            Finalised()
            time.sleep(60)
        return super().generate(batch)

@hookimpl
def llem_backends():
    return [scripted_backend("noisy", create=Noisy)]
"""


def install(folder: Path, name: str, code: str) -> None:
    """Lay a distribution named ``name`` into a folder, as an installer does."""
    (folder / f"{name}_plugin.py").write_text(code)
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[llem]\n{name} = {name}_plugin\n")


Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    site = tmp_path / "site"
    site.mkdir()
    install(site, "noisy", PLUGIN)
    install(site, "broken", "raise RuntimeError('written in a hurry')\n")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")]),
        "XDG_CONFIG_HOME": str(tmp_path),
        "LLEM_DISABLE_PLUGINS": SHIPPED,
    }

    def run(
        *arguments: str,
        stderr: int = subprocess.PIPE,
        shell: Sequence[str] = (),
        **variables: str,
    ) -> subprocess.Popen[str]:
        program = "import sys; from llem_cli.main import main; sys.exit(main())"
        return subprocess.Popen(
            [*shell, sys.executable, "-c", program, *arguments],
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            cwd=tmp_path,
            env={**environment, **variables},
        )

    return run


def test_json_alone_on_stdout_whoever_prints(start: Start) -> None:
    process = start(*RUN, "--json")
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert json.loads(out)["backend"] == "noisy"
    assert {"print", "descriptor", "child"} <= set(err.splitlines())


def test_a_broken_plugin_is_named_and_the_run_goes_on(start: Start) -> None:
    process = start(*RUN)
    out, err = process.communicate()
    assert process.returncode == 0
    assert out.startswith("Experiment")
    assert "Note: the plugin broken of broken 1.0 cannot be used" in err
    assert "written in a hurry" in err
    assert "llem-pytorch" not in err  # turned off on purpose


def test_config_tells_of_the_broken_plugin(start: Start) -> None:
    out, _ = start("config", "--json").communicate()
    plugins = json.loads(out)["plugins"]
    (noisy,) = plugins["backends"]
    assert noisy["owner"] == "noisy 1.0"
    (broken,) = [p for p in plugins["broken"] if p["name"] == "broken"]
    assert (broken["distribution"], broken["version"]) == ("broken", "1.0")
    assert "written in a hurry" in broken["reason"]


def test_a_reader_that_has_seen_enough_is_no_error(start: Start) -> None:
    process = start(*RUN)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    with process.stderr:
        err = process.stderr.read()
    assert process.wait() == 0
    assert "Traceback" not in err
    assert "BrokenPipe" not in err


@pytest.mark.parametrize("place", ["generate", "finaliser"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_without_a_traceback(
    start: Start, tmp_path: Path, place: str, number: signal.Signals, code: int
) -> None:
    process = start(*RUN, "--set", "warmup.enabled=false", HANG_AT=place)
    while not (tmp_path / "hanging").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(number)
    out, err = process.communicate()
    assert process.returncode == code
    assert out == ""
    assert "Interrupted." in err
    assert "Traceback" not in err
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(("flag", "shown"), [("--json", True), ("--quiet", False)])
def test_progress_on_a_terminal(start: Start, flag: str, shown: bool) -> None:
    ours, terminal = pty.openpty()
    process = start(*RUN, flag, stderr=terminal, LLEM_DISABLE_PLUGINS=f"{SHIPPED},broken")
    os.close(terminal)
    out, _ = process.communicate()
    with io.FileIO(ours) as reader:
        err = read_all(reader)
    assert process.returncode == 0
    assert out
    assert ("measuring 2 prompts" in err) is shown
    if shown:
        assert err.endswith("\r\x1b[K")  # nothing of it is left on the screen
        assert "warming up: 1 of" in err


def read_all(reader: io.FileIO) -> str:
    """What was written to a terminal that nobody has open any more."""
    found = b""
    while True:
        try:
            chunk = reader.read(4096)
        except OSError:  # Linux says so at the end
            chunk = b""
        if not chunk:
            return found.decode()
        found += chunk


LOADED = """
import sys
from llem_cli.main import execute
code = execute(sys.argv[1:])
print(code, *sorted({name.split(".")[0] for name in sys.modules}), file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("arguments", "unwanted"),
    [
        (["--version"], {"pydantic", "yaml", "pluggy", "llem_core", "llem_pytorch", "tqdm"}),
        (["--help"], {"pydantic", "yaml", "pluggy", "llem_core", "llem_pytorch", "tqdm"}),
        (["run", "--help"], {"pydantic", "yaml", "pluggy", "llem_core", "llem_pytorch", "tqdm"}),
        (["run", "--dry-run"], {"torch", "transformers", "pyarrow", "numpy", "multiprocessing"}),
    ],
)
def test_what_is_loaded(arguments: list[str], unwanted: set[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *arguments],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={**os.environ, "XDG_CONFIG_HOME": str(tmp_path)},
    )
    code, *loaded = done.stderr.splitlines()[-1].split()
    assert code == "0"
    assert "click" in loaded
    assert unwanted & set(loaded) == set()


def within(shell: str) -> tuple[str, ...]:
    """What runs the program from a shell, after a line of that shell's own."""
    return ("sh", "-c", f'{shell}; exec "$0" "$@"')


@pytest.mark.parametrize(
    "shell", ["exec >&-", "exec 2>&-", "trap '' CHLD; exec <&- >&- 2>&-", "exec >/dev/full 2>&1"]
)
def test_a_study_runs_whatever_its_parent_has_closed_or_ignored(
    start: Start, tmp_path: Path, shell: str
) -> None:
    start(*RUN, "--cycles", "1", "--yes", shell=within(shell)).communicate()
    (directory,) = (tmp_path / "results").iterdir()
    manifest = json.loads((directory / "manifest.json").read_text())
    assert [entry["status"] for entry in manifest["experiments"]] == ["completed"]
    assert manifest["status"] == "completed"


def test_an_interrupt_that_the_parent_ignores_stays_ignored(start: Start, tmp_path: Path) -> None:
    process = start(*RUN, HANG_AT="generate", shell=within("trap '' INT"))
    while not (tmp_path / "hanging").exists():
        assert process.poll() is None
        time.sleep(0.01)
    state = Path(f"/proc/{process.pid}/status").read_text().partition("SigIgn:")[2].split()[0]
    assert int(state, 16) & 1 << signal.SIGINT - 1
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode == 143
