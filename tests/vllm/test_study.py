"""One study with transformers here and vLLM in its environment: one ranking, equal tokens counted.

Runs in the workspace's environment, where ``LLEM_VLLM_PYTHON`` names the Python that has vLLM.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

PYTHON = os.environ.get("LLEM_VLLM_PYTHON")

pytestmark = pytest.mark.skipif(
    PYTHON is None or find_spec("llem_pytorch") is None,
    reason="needs llem-pytorch, and in LLEM_VLLM_PYTHON a Python with vLLM: scripts/check_vllm.sh",
)


def test_a_study_of_both_engines_has_one_ranking(checkpoint: Path, tmp_path: Path) -> None:
    study = {
        "name": "engines",
        "model": str(checkpoint),
        "precision": "fp32",
        "n": 8,
        "max_input_tokens": 64,
        "max_output_tokens": 32,
        "decoder": {"ignore_eos": True},
        "warmup": {"n_warmup": 1, "convergence_detection": False},
        "baseline": {"enabled": False},
        "energy": {"sampler": None},
        "backend": ["pytorch", "vllm"],
        "environments": {"vllm": {"python": PYTHON}},
        "vllm": {"max_model_len": 512, "enforce_eager": True, "kv_cache_memory_bytes": 2**26},
        "sweep": {"pytorch.batch_size": [2, 8], "vllm.max_num_seqs": [2, 8]},
        "execution": {"n_cycles": 1, "config_gap_seconds": 0},
    }
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study))
    done = subprocess.run(
        [Path(sys.executable).parent / "llem", "run", "study.yaml", "--output", "results"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    (folder,) = (tmp_path / "results").iterdir()
    result = json.loads((folder / "study_result.json").read_text())
    assert result["status"] == "completed"
    assert len(result["result_files"]) == 4
    runs = [json.loads((folder / name).read_text()) for name in result["result_files"]]
    assert sorted(run["backend"] for run in runs) == ["pytorch", "pytorch", "vllm", "vllm"]
    agreement = result["output_agreement"]
    assert len(agreement) == 2
    # In fp32 the two differ where logits are nearly equal only.
    assert all(one["equal_token_share"] >= 0.9 for one in agreement), agreement
    assert "vllm" in done.stdout
    assert "pytorch" in done.stdout
