"""What a hostile or careless command line gets: an answer, at once, in one paragraph."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from llem_cli.main import execute

PROGRAM = "import sys; from llem_cli.main import main; sys.exit(main())"
ONE = ["run", "-m", "any", "-b", "scripted"]


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("LLEM_OUTPUT", raising=False)


def llem(*arguments: str, stdin: str | None = None, stdout: int | None = None) -> tuple[int, str]:
    """The program's exit code, and what it told on stderr."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        input=stdin,
        stdout=stdout or subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


def refused(capfd: pytest.CaptureFixture[str], *arguments: str, code: int = 2) -> str:
    assert execute(list(arguments)) == code
    return " ".join(capfd.readouterr().err.split())


@pytest.mark.parametrize("flags", [["--help"], ["run", "--help"], ["--version"]])
def test_a_full_stdout_is_told_and_is_no_mistake_of_the_program(flags: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        code, told = llem(*flags, stdout=full.fileno())
    assert (code, told) == (1, "Error: stdout cannot be written: No space left on device.\n")


SCRIPTED = """
import sys
from llem_cli.main import main
from llem_core.plugins import Plugins, use_plugins
from llem_core.testing import FakePlugin, scripted_backend
from llem_core.sinks import hooks

plugins = Plugins()
plugins.register(hooks, "core-sinks")
plugins.register(FakePlugin(backends=[scripted_backend()]), "scripted")
with use_plugins(plugins):
    sys.exit(main())
"""


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_a_full_stdout_after_a_run_says_where_the_result_lies(flags: list[str]) -> None:
    short = ["-n", "1", "--set", "baseline.enabled=false", "--set", "warmup.enabled=false"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", SCRIPTED, *ONE, *short, *flags],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    (result,) = Path("results").glob("*/result.json")
    assert done.stderr == (
        f"Error: stdout cannot be written: No space left on device. The result lies in {result}.\n"
    )


def test_a_pipe_is_read_once(scripted: object, capfd: pytest.CaptureFixture[str]) -> None:
    for text in ("model: any\nbackend: scripted\n", "model: any\nbackend: scripted\nname: x\n"):
        os.mkfifo("pipe.yaml")
        writer = threading.Thread(target=Path("pipe.yaml").write_text, args=(text,), daemon=True)
        writer.start()
        assert execute(["run", "pipe.yaml", "--dry-run"]) == 0
        writer.join()
        Path("pipe.yaml").unlink()
    assert "empty" not in capfd.readouterr().err


@pytest.mark.usefixtures("scripted")
class TestConfiguration:
    @pytest.mark.parametrize(
        "path",
        [
            *("decoder.temperature", "decoder.top_k", "warmup.cv_threshold", "warmup.n_warmup"),
            *("baseline.duration_seconds", "energy.sample_interval_ms", "scripted.batch_size", "n"),
            *("energy.cross_check_threshold", "random_seed", "max_output_tokens"),
        ],
    )
    @pytest.mark.parametrize("word", ["yes", "off"])
    def test_a_truth_value_is_no_number(
        self, capfd: pytest.CaptureFixture[str], path: str, word: str
    ) -> None:
        told = refused(capfd, *ONE, "--set", "decoder.do_sample=true", "--set", f"{path}={word}")
        assert f"command line: {path}: {word == 'yes'} is a truth value" in told

    @pytest.mark.parametrize("path", ["execution.config_gap_seconds", "execution.n_cycles"])
    def test_nor_in_a_study(self, capfd: pytest.CaptureFixture[str], path: str) -> None:
        assert f"{path}: True is a truth value" in refused(capfd, *ONE, "--set", f"{path}=yes")

    def test_a_truth_value_is_one_where_it_belongs(self, capfd: pytest.CaptureFixture[str]) -> None:
        assert execute([*ONE, "--dry-run", "--set", "decoder.do_sample=yes"]) == 0
        assert execute([*ONE, "--dry-run", "--set", "passthrough_kwargs={a: [yes]}"]) == 0

    @pytest.mark.parametrize("digits", [400, 5000])
    @pytest.mark.parametrize("flag", ["-n", "--cycles", "--batch-size", "--set=n", "--timeout"])
    def test_long_numbers_are_refused(
        self, capfd: pytest.CaptureFixture[str], flag: str, digits: int
    ) -> None:
        number = "9" * digits
        words = [f"{flag}={number}"] if flag.startswith("--") else [flag, number]
        assert len(refused(capfd, *ONE, "--dry-run", *words).replace(number, "")) < 400

    def test_a_billion_prompts_are_refused_and_ten_million_planned_without_making_them(
        self, capfd: pytest.CaptureFixture[str]
    ) -> None:
        synthetic = [*ONE, "-d", "synthetic", "--dry-run", "--json"]
        assert "n: input should be less than" in refused(capfd, *synthetic, "-n", "1000000000")
        before = _peak_bytes()
        assert execute([*synthetic, "-n", "10000000"]) == 0
        assert json.loads(capfd.readouterr().out)["n_prompts"] == 10_000_000
        assert _peak_bytes() - before < 100_000_000

    def test_a_plan_says_the_lengths_of_synthetic_prompts(
        self, capfd: pytest.CaptureFixture[str]
    ) -> None:
        data = "dataset={source: synthetic, input_tokens: 256, output_tokens: 32}"
        assert execute([*ONE, "--dry-run", "--set", data]) == 0
        assert "tokens 256 in, 32 out" in " ".join(capfd.readouterr().out.split())

    @pytest.mark.parametrize("value", ["[" * 5000, "2001-99-99", "!!int abc"])
    def test_what_yaml_cannot_build_is_configuration(
        self, capfd: pytest.CaptureFixture[str], value: str
    ) -> None:
        assert refused(capfd, *ONE, "--set", f"n={value}").startswith("Error: --set n:1:")

    @pytest.mark.parametrize(
        "words",
        [
            *(["--output=~no-such-user/x"], ["--resume=~no-such-user"], ["--resume", "x" * 5000]),
            *(["--set=execution=3"], ["--set=execution=[1]"], ["--dataset=a\\0b"]),
            *(["--set", f"{'a.' * 1000}b=1"], ["--set=dataset=~no-such-user/a.jsonl"]),
        ],
    )
    def test_what_cannot_be_a_path_or_a_mapping_is_configuration(
        self, capfd: pytest.CaptureFixture[str], words: list[str]
    ) -> None:
        words = [word.replace("\\0", "\0") for word in words]
        assert "internal error" not in refused(capfd, *ONE, "--dry-run", *words)

    @pytest.mark.parametrize("base", ["~no-such-user/x", '"a\\0b"', "https://me:pass-word@host/x"])
    def test_a_base_that_cannot_be_a_path_is_told_with_its_line(
        self, capfd: pytest.CaptureFixture[str], base: str
    ) -> None:
        Path("s.yaml").write_text(f"model: any\nbase: {base}\n")
        told = refused(capfd, "run", "s.yaml")
        assert told.startswith("Error: s.yaml:2: base: ")
        assert "pass-word" not in told

    def test_more_runs_than_can_be_planned_are_refused(
        self, capfd: pytest.CaptureFixture[str]
    ) -> None:
        Path("s.yaml").write_text(
            f"model: any\nbackend: scripted\nsweep: {{n: {[*range(1, 200)]}}}\n"
        )
        told = refused(capfd, "run", "s.yaml", "--dry-run", "--cycles", "10000")
        assert "1,990,000 runs" in told


@pytest.mark.usefixtures("scripted")
class TestTerminal:
    @pytest.mark.parametrize("acting", ["\x1b[31m", "\x9b31m", "\u202e", "\u2066", "\x07", "\x7f"])
    def test_nothing_that_is_shown_acts_on_the_terminal(
        self, capfd: pytest.CaptureFixture[str], acting: str
    ) -> None:
        name = f"a{acting}b"
        assert execute(["run", "-m", name, "-b", "scripted", "--dry-run"]) == 0
        assert execute(["run", "-m", name, "-b", "scripted", "--dry-run", "--json"]) == 0
        assert execute(["run", "-m", "any", "-b", name]) == 2
        assert execute(["run", f"{name}.yaml"]) == 2
        assert execute(["run", f"--{name}"]) == 2
        assert execute(["run", "-m", "any", "-b", name, "--verbose"]) == 2
        out, err = capfd.readouterr()
        assert acting not in out + err

    def test_json_stays_json(self, capfd: pytest.CaptureFixture[str]) -> None:
        name = "a\x9b\u202e\x7f\U000e0001"
        assert execute(["run", "-m", name, "-b", "scripted", "--dry-run", "--json"]) == 0
        assert json.loads(capfd.readouterr().out)["config"]["model"] == name

    def test_names_in_other_scripts_are_left_alone(self, capfd: pytest.CaptureFixture[str]) -> None:
        assert execute(["run", "-m", "模型-éß-👩\u200d💻", "-b", "scripted", "--dry-run"]) == 0
        assert "模型-éß-👩\u200d💻" in capfd.readouterr().out


@pytest.mark.usefixtures("scripted")
class TestSecrets:
    def test_a_password_in_a_models_address_is_refused_and_stands_nowhere(
        self, capfd: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        told = refused(capfd, "run", "-m", "https://me:pass-word@host/m", "-b", "scripted", "-v")
        assert "model: an address with" in told
        Path("s.yaml").write_text(
            "backend: scripted\nn: 1\nbaseline: {enabled: false}\n"
            "execution: {n_cycles: 1, config_gap_seconds: 0}\n"
            "sweep: {model: [any, 'https://me:pass-word@host/m']}\n"
        )
        assert execute(["run", "s.yaml", "--dry-run", "--json"]) == 0
        told += "".join(capfd.readouterr())
        execute(["run", "s.yaml"])
        told += "".join(capfd.readouterr())
        assert "pass-word" not in told
        for path in tmp_path.rglob("*"):
            assert "pass-word" not in path.name
            if path.is_file() and path.name != "s.yaml":
                assert b"pass-word" not in path.read_bytes(), path

    @pytest.mark.parametrize("path", ["model", "dataset", "lora.adapter"])
    def test_nor_in_any_other_name(self, capfd: pytest.CaptureFixture[str], path: str) -> None:
        address = f"{path}=https://me:pass-word@host/m"
        told = refused(capfd, "run", "-b", "scripted", "--dry-run", "--set", address)
        assert "an address with" in told
        assert "pass-word" not in told

    @pytest.mark.parametrize("key", ["token", "hf_token", "api_key", "API-KEY", "db.password"])
    def test_a_swept_secret_is_not_echoed(
        self, capfd: pytest.CaptureFixture[str], key: str
    ) -> None:
        Path("s.yaml").write_text(
            "model: any\nbackend: scripted\n"
            f"sweep: {{passthrough_kwargs.{key}: [hush-1, hush-2]}}\n"
        )
        assert execute(["run", "s.yaml", "--dry-run"]) == 0
        assert execute(["run", "s.yaml", "--dry-run", "--json"]) == 0
        out, err = capfd.readouterr()
        assert "hush" not in out + err
        assert f"passthrough_kwargs.{key}=…" in out

    def test_other_keys_are_shown(self, capfd: pytest.CaptureFixture[str]) -> None:
        Path("s.yaml").write_text(
            "model: any\nbackend: scripted\nsweep: {passthrough_kwargs.max_new_tokens: [1, 2]}\n"
        )
        assert execute(["run", "s.yaml", "--dry-run"]) == 0
        assert "max_new_tokens=1" in capfd.readouterr().out


@pytest.mark.usefixtures("scripted")
def test_a_formula_in_a_models_name_is_text_in_a_spreadsheet() -> None:
    arguments = ["-b", "scripted", "-n", "1", "--set", "baseline.enabled=false", "--set", "csv={}"]
    for name in ("=cmd|'/c calc'!A1", "+1", "@SUM(A1)", "-1"):
        assert execute(["run", f"--model={name}", *arguments, "-o", "out"]) == 0
    files = sorted(Path("out").glob("*/result.csv"))
    assert len(files) == 4
    for file in files:
        (row,) = csv.DictReader(file.read_text().splitlines())
        assert row["model"].startswith("'")
        assert float(row["duration_s"]) > 0


@pytest.mark.usefixtures("scripted")
class TestBackends:
    def test_a_list_of_backends_is_a_dimension(self, capfd: pytest.CaptureFixture[str]) -> None:
        Path("s.yaml").write_text("model: any\nn: 1\nbackend: [scripted, vllm]\n")
        told = refused(capfd, "run", "s.yaml", code=1)
        assert "scripted and vllm" in told
        assert "`environments`" in told
        assert "Docker" in told

    def test_also_where_none_of_them_is_here(self, capfd: pytest.CaptureFixture[str]) -> None:
        Path("s.yaml").write_text("model: any\nn: 1\nbackend: [sglang, vllm]\n")
        assert "sglang and vllm" in refused(capfd, "run", "s.yaml", code=1)

    def test_one_in_the_list_is_a_study_of_it(self, capfd: pytest.CaptureFixture[str]) -> None:
        Path("s.yaml").write_text("model: any\nbackend: [scripted]\nsweep: {n: [1, 2]}\n")
        assert execute(["run", "s.yaml", "--dry-run", "--json"]) == 0
        plan = json.loads(capfd.readouterr().out)
        assert [e["config"]["n"] for e in plan["experiments"]] == [1, 2]


def _peak_bytes() -> int:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
