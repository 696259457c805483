"""Packs what must travel to a machine without a network: wheels for Python 3.12 on x86-64.

    uv run python benchmarks/gpu_session/build.py [build/gpu_session]

Our own distributions, and of what they need in turn whatever ``present.txt`` does not name, in the
versions of this environment. It prints the size and the number of the wheels.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from importlib.metadata import requires, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gpu_session.run import BUILD_NAME

ROOT = Path(__file__).resolve().parents[2]
OURS = ("llem-core", "llem-cli", "llem-energy-nvml", "llem-pytorch")
PYTHON = "3.12"
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
_TARGET = {"python_version": PYTHON, "python_full_version": f"{PYTHON}.0", "extra": ""}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=Path("build/gpu_session"))
    folder: Path = parser.parse_args(argv).folder
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.whl"):
        old.unlink()
    for name in OURS:
        build = ["uv", "build", "--quiet", "--wheel", "--package", name, "--out-dir"]
        subprocess.run([*build, str(folder.resolve())], cwd=ROOT, check=True)
    download(missing(OURS, present()), folder)
    wheels = sorted(folder.glob("*.whl"))
    size = sum(wheel.stat().st_size for wheel in wheels)
    content = {"commit": commit(), "bytes": size, "wheels": [wheel.name for wheel in wheels]}
    (folder / BUILD_NAME).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    print(f"{size / 2**20:.2f} MiB {len(wheels)} wheels in {folder}")
    return 0


def present() -> dict[str, str | None]:
    """What the machine has: canonical name to version, or to ``None`` where it is not known."""
    lines = Path(__file__).with_name("present.txt").read_text(encoding="utf-8").splitlines()
    found: dict[str, str | None] = {}
    for line in lines:
        if line and not line.startswith("#"):
            name, _, known = line.partition("==")
            found[canonicalize_name(name)] = known or None
    return found


def missing(
    ours: Collection[str],
    there: Collection[str],
    needs: Callable[[str], list[str] | None] = requires,
) -> list[str]:
    """Distributions that ours need, directly or not, and that are not there.

    Args:
        ours: distributions that travel in any case, and are not named again.
        there: canonical names of what the machine has; what these need is there as well.
        needs: gives the requirements of a distribution.
    """
    found: dict[str, None] = {}
    open_names = list(ours)
    while open_names:
        for name in _needed(needs(open_names.pop()) or ()):
            if name not in there and name not in ours and name not in found:
                found[name] = None
                open_names.append(name)
    return sorted(found)


def _needed(requirements: Collection[str]) -> Iterator[str]:
    for text in requirements:
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate(_TARGET):
            yield canonicalize_name(requirement.name)


def download(names: Collection[str], folder: Path) -> None:
    """Fetch the wheels of this environment's versions for the machine's Python."""
    command = ["uv", "run", "--quiet", "--no-project", "--with", "pip", "python", "-m", "pip"]
    command += ["download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", str(folder)]
    command += ["--python-version", PYTHON, "--implementation", "cp"]
    command += [argument for platform in PLATFORMS for argument in ("--platform", platform)]
    subprocess.run([*command, *(f"{name}=={version(name)}" for name in names)], check=True)


def commit() -> str | None:
    """The commit that the wheels are of, with a mark where files differ from it."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


if __name__ == "__main__":
    sys.exit(main())
