"""A study of 8 runs that do nothing on two nodes of a real SLURM, against the same on one.

The nodes are daemons of one host, which a script of the project starts: they share its cores, and
what is shown is what the launcher and SLURM make of them. The study on one node has one job at a
time, as `jobs` is the number of nodes. Needs root and Debian's slurm-wlm and munge. Run with
``uv run python benchmarks/two_nodes.py [pairs]``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from llem_core.plugins import Plugins, use_plugins
from llenergymeasure import run_study
from pairs import compile_sources, heading, report

SCRIPT = Path(__file__).parents[1] / "scripts" / "slurm_cluster.sh"
PLUGIN = """
from llem_core.contracts import hookimpl
from llem_core.testing import scripted_backend
LLEM_CONTRACT = 2
@hookimpl
def llem_backends():
    return [scripted_backend()]
"""
DESIGNS = {"8 configurations": (8, 1), "2 × 4 cycles, blocks": (2, 4)}


def install(site: Path) -> None:
    """Lay a distribution with a backend that does nothing into a folder."""
    (site / "idle_plugin.py").write_text(PLUGIN)
    info = site / "llem_idle-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: llem-idle\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[llem]\nidle = idle_plugin\n")
    shipped = ("pytorch", "energy-nvml", "energy-zeus", "energy-codecarbon", "energy-dcgm")
    os.environ["LLEM_DISABLE_PLUGINS"] = ",".join(f"llem-{name}" for name in shipped)
    os.environ["PYTHONPATH"] = str(site)
    sys.path.insert(0, str(site))


def seconds_of(n_configurations: int, n_cycles: int, n_nodes: int) -> float:
    """Wall time of a whole study, from its start to its result (s)."""
    study = {
        "model": "any",
        "backend": "scripted",
        "n": 1,
        "energy": {"sampler": None},
        "baseline": {"enabled": False},
        "warmup": {"enabled": False},
        "sweep": {"max_output_tokens": list(range(1, n_configurations + 1))},
        "execution": {
            "n_cycles": n_cycles,
            "cycle_order": "interleaved",
            "launcher": "slurm",
            "slurm": {"jobs": n_nodes, "poll_seconds": 1},
        },
    }
    with tempfile.TemporaryDirectory() as folder:
        begun_s = time.perf_counter()
        result = run_study(study, output_dir=folder, gaps=False)
        taken_s = time.perf_counter() - begun_s
    if result.summary.n_completed != 8:
        raise RuntimeError(f"{result.summary.n_completed} of 8 runs completed")
    return taken_s


def main() -> None:
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    compile_sources()
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    (site := folder / "site").mkdir()
    install(site)
    try:
        subprocess.run(["bash", SCRIPT, "start", folder, "2"], check=True)
        os.environ["SLURM_CONF"] = str(folder / "slurm.conf")
        plugins = Plugins()
        plugins.load_installed()
        heading("wall seconds of 8 runs, on two nodes and on one")
        with use_plugins(plugins):
            for name, (n_configurations, n_cycles) in DESIGNS.items():
                timed = []
                for _ in range(pairs):
                    two_s = seconds_of(n_configurations, n_cycles, 2)
                    one_s = seconds_of(n_configurations, n_cycles, 1)
                    timed.append((two_s, one_s))
                report(name, [two for two, _ in timed], [one for _, one in timed], "<= 0.6")
    finally:
        subprocess.run(["bash", SCRIPT, "stop", folder], check=False)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
