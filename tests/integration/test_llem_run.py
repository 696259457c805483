"""``llem`` as a user runs it: a real process, real torch, real files."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from llenergymeasure import ExperimentResult
from transformers import AutoConfig, AutoModelForCausalLM

LLEM = [sys.executable, "-c", "import sys; from llem_cli.main import main; sys.exit(main())"]
FAST = ("--set", "baseline.duration_seconds=0.2", "--set", "warmup.n_warmup=1")
SMALL = ("-n", "4", "--set", "max_output_tokens=6", "--set", "warmup.convergence_detection=false")
NO_ENERGY = ("--sampler", "null")


def llem(
    *arguments: object, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*LLEM, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **(environment or {})},
    )


def result_of(done: subprocess.CompletedProcess[str]) -> ExperimentResult:
    assert done.returncode == 0, done.stderr
    return ExperimentResult.model_validate_json(done.stdout)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint")
    torch.manual_seed(1)
    config = AutoConfig.for_model(
        "llama",
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        vocab_size=300,
        eos_token_id=257,
        initializer_range=0.5,
    )
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder


@pytest.mark.full
def test_tokens_are_those_of_a_bare_script(checkpoint: Path, tmp_path: Path) -> None:
    done = llem(
        *("run", "--model", checkpoint, "-n", 20, "--batch-size", 4, *FAST, *NO_ENERGY),
        *("--set", "pytorch.attn_implementation=eager", "--set", "max_output_tokens=16"),
        *("--set", "max_input_tokens=40", "--json", "-o", tmp_path, "--precision", "fp32"),
    )
    result = result_of(done)
    (folder,) = tmp_path.iterdir()
    rows = pq.read_table(folder / "requests.parquet").sort_by("index").to_pylist()
    from llem_core.measure.prompts.load import bundled_prompts

    model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32).eval()
    for row, text in zip(rows, bundled_prompts()[:20], strict=True):
        ids = torch.tensor([[256, *text.encode()][:40]])
        mask = torch.ones_like(ids)
        out = model.generate(
            inputs=ids, attention_mask=mask, do_sample=False, max_new_tokens=16, pad_token_id=0
        )
        assert row["token_ids"] == out[0, ids.shape[1] :].tolist()
    assert result.output_tokens_per_request == [row["output_tokens"] for row in rows]
    assert result.output_tokens == sum(len(row["token_ids"]) for row in rows)


@pytest.mark.full
def test_two_processes_share_the_prompts_and_give_the_same_tokens(tmp_path: Path) -> None:
    common = (*SMALL, *FAST, *NO_ENERGY, "--json", "-o", tmp_path, "--model", "shape:tiny-llama")
    one = result_of(llem("run", *common))
    two = result_of(llem("run", *common, "--set", "pytorch.num_processes=2"))
    assert [process.n_requests for process in two.processes] == [2, 2]
    assert len({process.pid for process in two.processes}) == 2
    assert two.output_tokens_per_request == one.output_tokens_per_request
    assert two.input_tokens == one.input_tokens
    tables = [pq.read_table(f).sort_by("index") for f in sorted(tmp_path.glob("*/req*"))]
    assert tables[0]["token_ids"] == tables[1]["token_ids"]
    assert {*tables[0]["rank"].to_pylist(), *tables[1]["rank"].to_pylist()} == {0, 1}


@pytest.mark.full
def test_a_failure_in_one_of_two_processes_ends_the_run(tmp_path: Path) -> None:
    done = llem(
        *("run", *SMALL, *FAST, *NO_ENERGY, "-o", tmp_path, "--model", "nobody/nothing"),
        *("--set", "pytorch.num_processes=2"),
    )
    assert done.returncode == 1
    assert "hub cannot be reached" in done.stderr.replace("\n", " ")
    assert list(tmp_path.iterdir()) == []


PLUGIN = """
import pathlib
from llem_core.contracts import *
from llem_core.testing import ScriptedBackend, ScriptedConfig, ScriptedSampler
from pydantic import Field

LLEM_CONTRACT = 2

class MineConfig(ScriptedConfig):
    flavour: str = Field("plain", description="Its flavour.")

class OneLine(ResultSink):
    def write_experiment(self, finished, directory):
        text = f"{finished.result.energy_total_j}"
        return [write_atomically(directory / "line.txt", text.encode())]

@hookimpl
def llem_backends():
    return [BackendSpec("mine", "Mine.", MineConfig, ScriptedBackend, lambda w: CheckReport())]

@hookimpl
def llem_samplers():
    return [SamplerSpec("my_meter", "Mine.", 900, ScriptedSampler,
                        lambda: Availability(True, "it is mine", ("cpu",)))]

@hookimpl
def llem_sinks():
    return [SinkSpec("one_line", "A line.", OneLine, always_on=True)]
"""


@pytest.fixture
def installed(tmp_path: Path) -> dict[str, str]:
    """A package with a backend, a sampler and a sink, and a broken one, beside the others."""
    for name, code in (("mine", PLUGIN), ("broken", "import there_is_no_such_module\n")):
        (tmp_path / f"{name}_plugin.py").write_text(code)
        info = tmp_path / f"llem_{name}-3.4.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: llem-{name}\nVersion: 3.4\n")
        (info / "entry_points.txt").write_text(f"[llem]\n{name} = {name}_plugin\n")
    return {"PYTHONPATH": str(tmp_path)}


def test_a_plugin_package_is_found_listed_used_and_validated(
    installed: dict[str, str], tmp_path: Path
) -> None:
    listed = llem("config", environment=installed)
    for text in ("mine", "my_meter", "one_line", "llem-mine 3.4", "there_is_no_such_module"):
        assert text in " ".join(listed.stdout.split())
    schema = json.loads(llem("config", "--schema", environment=installed).stdout)
    assert "flavour" in schema["$defs"]["MineConfig"]["properties"]
    output = tmp_path / "results"
    done = llem(
        *("run", "-m", "x", "-b", "mine", *SMALL, *FAST, "--json", "-o", output),
        *("--set", "mine.flavour=sweet", "--set", "mine.num_processes=2"),
        *("--set", "mine.token_time_s=0.01", "--set", "energy.phase_energy=true"),
        environment=installed,
    )
    result = result_of(done)
    assert "there_is_no_such_module" in done.stderr
    # It measures the processor; the estimate stands beside it, for the memory.
    assert result.energy_source == "my_meter+codecarbon"
    assert result.energy_breakdown is not None
    assert result.energy_breakdown.cpu_j == result.energy_total_j
    assert result.energy_breakdown.estimated_j > 0
    assert result.energy_total_j is not None
    assert result.energy_adjusted_j is not None
    assert (result.baseline_power_w, result.loaded_baseline_power_w) == pytest.approx((50, 50))
    assert result.effective_config["mine"]["flavour"] == "sweet"
    # Both processes prefill side by side, as they do in the window: 2 prompts of 6 tokens each.
    phases = result.phase_energy
    assert phases is not None
    assert phases.prefill_passes >= 2
    assert phases.prefill_j is not None
    assert phases.prefill_j >= 50 * 2 * 0.01
    assert phases.decode_j is not None
    assert phases.decode_j > phases.prefill_j
    (folder,) = output.iterdir()
    assert {"line.txt", "result.json", "timeseries.parquet"} <= {p.name for p in folder.iterdir()}
    wrong = llem(
        "run", "-m", "x", "-b", "mine", "--set", "mine.flavor=sweet", environment=installed
    )
    assert wrong.returncode == 2
    assert "did you mean 'flavour'" in wrong.stderr.replace("\n", " ")


def processes_of_session(session: int) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(entry.name))
    return found


def all_gone(session: int) -> bool:
    """Whether the session is empty, at once or very soon: children see their parent's end."""
    deadline_s = time.monotonic() + 20
    while processes_of_session(session) and time.monotonic() < deadline_s:
        time.sleep(0.05)
    return processes_of_session(session) == []


def handles_signals(pid: int) -> bool:
    """Whether it does so now or soon: before, an interpreter that starts ends as it pleases."""
    wanted = sum(1 << (number - 1) for number in (signal.SIGINT, signal.SIGTERM))
    deadline_s = time.monotonic() + 20
    while time.monotonic() < deadline_s:
        (line,) = re.findall(r"SigCgt:\s*(\w+)", Path(f"/proc/{pid}/status").read_text())
        if int(line, 16) & wanted == wanted:
            return True
        time.sleep(0.005)
    return False


STEPS = ("", "loading the model", "warming up", "measuring")
BRIEF = {("loading the model", 1), ("measuring", 1)}


def interrupts() -> Iterator[object]:
    """Each step with each number of processes and each signal; the brief ones without --full."""
    for place, (step, processes, number) in enumerate(
        itertools.product(STEPS, (1, 2), (signal.SIGINT, signal.SIGTERM))
    ):
        brief = (step, processes) in BRIEF and place % 2 == STEPS.index(step) % 2
        yield pytest.param(step, processes, number, marks=[] if brief else [pytest.mark.full])


@pytest.mark.parametrize(("step", "processes", "number"), list(interrupts()))
def test_an_interrupt_in_any_step_leaves_nothing(
    tmp_path: Path, step: str, processes: int, number: signal.Signals
) -> None:
    run = subprocess.Popen(
        [
            *(*LLEM, "run", "-v", "--model", "shape:tiny-llama", "-n", "100", "-o", str(tmp_path)),
            *("--set", "decoder.ignore_eos=true", "--set", "max_output_tokens=400"),
            *("--set", f"pytorch.num_processes={processes}", *FAST, *NO_ENERGY),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert handles_signals(run.pid)
    assert run.stderr is not None
    seen = b""
    while step.encode() not in seen:
        line = run.stderr.readline()
        assert line, f"it never came to {step!r}: {seen.decode()}"
        seen += line
    run.send_signal(number)
    _, told = run.communicate(timeout=60)
    assert run.returncode == 128 + number, (seen + told).decode()
    assert b"Traceback" not in told
    assert all_gone(run.pid)
    assert list(tmp_path.glob("**/*.json")) == []
    assert list(tmp_path.glob("**/.*.tmp")) == []


def test_the_death_of_the_parent_leaves_no_child(tmp_path: Path) -> None:
    run = subprocess.Popen(
        [
            *(*LLEM, "run", "--model", "shape:tiny-llama", "-n", "100", "-o", str(tmp_path)),
            *("--set", "decoder.ignore_eos=true", "--set", "max_output_tokens=2000"),
            *("--set", "pytorch.num_processes=2", *FAST, *NO_ENERGY),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline_s = time.monotonic() + 60
    while len(processes_of_session(run.pid)) < 3 and time.monotonic() < deadline_s:
        time.sleep(0.1)
    assert len(processes_of_session(run.pid)) >= 3
    run.kill()
    run.wait()
    assert all_gone(run.pid)


@pytest.mark.full
def test_a_disk_that_fills_leaves_earlier_files_intact(tmp_path: Path) -> None:
    arguments = ("run", "-m", "shape:tiny-llama", *SMALL, *FAST, *NO_ENERGY, "-o", tmp_path)
    assert llem(*arguments).returncode == 0
    before = {path: path.read_bytes() for path in tmp_path.glob("*/*")}
    # No file may grow beyond four KiB: what a full disk does to the second run.
    command = " ".join(["ulimit -f 4; exec", '"$@"'])
    done = subprocess.run(
        ["bash", "-c", command, "bash", *LLEM, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "cannot be written: File too large" in done.stderr.replace("\n", " ")
    assert {path: path.read_bytes() for path in before} == before
    assert not list(tmp_path.glob("**/*.tmp"))


def load_fails(*arguments: object) -> str:
    done = llem("run", *arguments, *SMALL, *FAST, *NO_ENERGY)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    return " ".join(done.stderr.split())


def test_a_hub_id_without_a_network_is_one_line_at_once(tmp_path: Path) -> None:
    environment = {"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": "https://hub.invalid", "NO_PROXY": "*"}
    done = llem(
        *("run", "-m", "nobody/nothing", *SMALL, *FAST, *NO_ENERGY, "-o", tmp_path),
        environment=environment,
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
    assert "hub cannot be reached" in done.stderr
    assert "HF_HOME" in done.stderr


@pytest.mark.full
def test_out_of_memory_says_the_peak_and_what_to_lower() -> None:
    told = load_fails(
        *("-m", "shape:tiny-llama", "-d", "synthetic", "--set", "max_input_tokens=400000"),
        *("--set", "pytorch.attn_implementation=eager"),
    )
    assert "ran out of memory after a peak of" in told
    assert "batch_size" in told


def test_more_memory_than_there_is_is_told_before_loading() -> None:
    told = load_fails("-m", "shape:llama-3.1-8b", "--batch-size", "512", "--precision", "fp32")
    assert "of memory are needed" in told
