"""``llem --version`` and ``--help`` against a bare click program; a dry run against imports.

Run with ``uv run python benchmarks/startup.py [pairs]``.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from pairs import compare, compile_sources, heading, llem

CLICK = """
import click

@click.group()
@click.version_option("1")
def main():
    pass

main()
"""


def main() -> None:
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 21
    compile_sources()
    heading("wall seconds")
    with tempfile.TemporaryDirectory() as folder:
        bare = Path(folder) / "bare.py"
        bare.write_text(CLICK)
        config = Path(folder) / "experiment.yaml"
        config.write_text("model: shape:tiny-llama\npytorch: {batch_size: 4}\n")
        for flag in ("--version", "--help"):
            reference = [sys.executable, str(bare), flag]
            compare(f"llem {flag}", [llem(), flag], reference, "<= 1.5", pairs=pairs)
        compare(
            "llem run f.yaml --dry-run",
            [llem(), "run", str(config), "--dry-run"],
            [sys.executable, "-c", "import pydantic, yaml"],
            "<= 4",
            pairs=pairs,
            directory=Path(folder),
        )


if __name__ == "__main__":
    main()
