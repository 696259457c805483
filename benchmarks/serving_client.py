"""The client of llem-server against a scripted server that tells when it wrote each token.

    python benchmarks/serving_client.py [STREAMS ...]

Each token's text is the moment of its writing, by the clock that client and server share. What the
client says of first tokens and of the times between tokens is compared with that.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow.parquet as pq
from llenergymeasure import run_experiment

TOKENS = 64


def errors_ms(streams: int) -> tuple[list[float], list[float], float, float]:
    """Errors of first-token times and of inter-token times, CPU per 1,000 tokens, tokens/s."""
    server = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "llem_server.testing",
            "--first-token-s",
            "0.1",
            "--token-s",
            "0.02",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    port = int(server.stdout.readline().rsplit(" ", 1)[1])
    try:
        with tempfile.TemporaryDirectory() as folder:
            result = run_experiment(
                model="scripted",
                backend="server",
                server={"base_url": f"http://127.0.0.1:{port}"},
                n=100,
                max_output_tokens=TOKENS,
                baseline={"enabled": False},
                warmup={"enabled": False},
                energy={"sampler": None},
                load={"mode": "closed", "concurrency": streams, "window_seconds": 10.0},
                output_dir=folder,
            )
            (file,) = Path(folder).rglob("requests.parquet")
            rows = [row for row in pq.read_table(file).to_pylist() if row["in_window"]]
    finally:
        server.kill()
        server.communicate()
    first, between = [], []
    for row in rows:
        if row["error"] is not None or row["token_times_s"] is None:
            continue
        written = [float(word) for word in row["text"].split()]
        seen = row["token_times_s"]
        # Token times count from started_s; both clocks are CLOCK_MONOTONIC, so gaps compare as
        # they are, and the least delay of all stands for the shift between the two origins.
        delays = [s - w for s, w in zip(seen, written, strict=True)]
        first.append((delays[0] - min(delays)) * 1e3)
        pairs = zip(itertools.pairwise(seen), itertools.pairwise(written), strict=True)
        between += [abs((b - a) - (d - c)) * 1e3 for (a, b), (c, d) in pairs]
    assert result.load is not None
    cpu_s = result.load.client_cpu_per_1000_tokens_s or float("nan")
    return first, between, cpu_s, result.output_tokens_per_second


def p99(values: list[float]) -> float:
    """The 99th percentile."""
    return sorted(values)[int(0.99 * (len(values) - 1))]


def main() -> None:
    """Print a row for each number of streams."""
    print("streams  first token p99 (ms)  between tokens p99 (ms)  CPU s/1,000 tokens  tokens/s")
    for streams in [int(word) for word in sys.argv[1:]] or [1, 64, 256]:
        first, between, cpu_s, rate = errors_ms(streams)
        print(f"{streams:7} {p99(first):21.2f} {p99(between):24.2f} {cpu_s:19.3f} {rate:9.0f}")


if __name__ == "__main__":
    main()
