"""The examples in the docstrings of ``llem_core.testing`` are run as they stand."""

from __future__ import annotations

import inspect
import textwrap
from pathlib import Path

import llem_core.contracts
import llem_core.testing
import llenergymeasure
import pytest
from llem_core.plugins import Plugins, use_plugins

TOLD_ELSEWHERE = {
    "ContractError",
    "Outcome",
    "Rule",
    "ScriptedConfig",
    "ScriptedServingConfig",
}  # nothing to try


def example(name: str) -> str:
    text = inspect.cleandoc(getattr(llem_core.testing, name).__doc__ or "")
    block = text.partition("Example::\n")[2]
    kept = []
    for line in block.splitlines():
        if line and not line.startswith("    "):
            break
        kept.append(line)
    return textwrap.dedent("\n".join(kept)).strip()


@pytest.mark.parametrize("name", sorted(set(llem_core.testing.__all__) - TOLD_ELSEWHERE))
def test_the_example_runs(name: str, tmp_path: Path) -> None:
    code = example(name)
    assert code, f"{name} has no example"
    names = {"Plugins": Plugins, "use_plugins": use_plugins, "folder": tmp_path}
    for module in (llem_core.testing, llem_core.contracts, llenergymeasure):
        names |= {each: getattr(module, each) for each in module.__all__}
    exec(code, names)
