"""The same experiment in the own environment, in another Python and in a container.

The whole process of ``llem run`` each time, in turn; baselines and energy are off, since they are
waits that a user asks for. Run with
``uv run python benchmarks/environments.py [--rounds N] [--python PATH] [--image IMAGE]``. Without
``--python`` the other Python is this very one, so that the ratio is that of the way there alone.
With ``--image``, which needs no more than a system's libraries (``scripts/base_image.sh`` makes
one), this Python and its packages are mounted into the container; ``--image-python`` takes the
image's own instead.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from pairs import ROOT, compile_sources, heading, llem, report, seconds

OUTPUT_TOKENS = 256


def main() -> None:
    options = _options()
    compile_sources()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = f"{folder}/cache"
        places: dict[str, dict[str, Any] | None] = {"own": None}
        places["venv"] = {"python": options.python}
        if options.image:
            places["container"] = _container(options)
        commands = {
            name: _command(Path(folder), name, place, options) for name, place in places.items()
        }
        for command in commands.values():
            seconds(command, Path(folder))  # the first one asks the environment about itself
        walls: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(options.rounds):
            for name, command in commands.items():
                walls[name].append(seconds(command, Path(folder)))
        heading("wall seconds; the reference is the own environment")
        for name, bar in (("venv", "<= 1.05"), ("container", "<= 1.15")):
            if name in walls:
                report(name, walls[name], walls["own"], bar)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=24)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--image")
    parser.add_argument("--image-python")
    parser.add_argument("--engine", default="docker")
    return parser.parse_args()


def _container(options: argparse.Namespace) -> dict[str, Any]:
    place = {"image": options.image, "engine": options.engine}
    if options.image_python:
        return {**place, "python": options.image_python}
    base = Path(sys.base_prefix).resolve()
    folders = dict.fromkeys([base, Path(sys.prefix), ROOT, Path(sysconfig.get_paths()["purelib"])])
    tops = [one for one in folders if not any(one.is_relative_to(o) for o in folders if o != one)]
    mounts = [f"{one}:{one}:ro" for one in tops]
    return {**place, "python": sys.executable, "mounts": mounts}


def _command(
    folder: Path, name: str, place: dict[str, Any] | None, options: argparse.Namespace
) -> list[str]:
    file = folder / f"{name}.yaml"
    content = {
        "model": "shape:tiny-llama",
        "precision": "fp32",
        "n": options.requests,
        "dataset": "synthetic",
        "max_input_tokens": 64,
        "max_output_tokens": OUTPUT_TOKENS,
        "warmup": {"n_warmup": 2, "convergence_detection": False},
        "baseline": {"enabled": False},
        "energy": {"sampler": None},
        **({} if place is None else {"environment": "there", "environments": {"there": place}}),
    }
    file.write_text(json.dumps(content))
    return [llem(), "run", str(file), "--quiet", "--output", str(folder / name)]


if __name__ == "__main__":
    main()
