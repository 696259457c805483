"""Folders of studies and experiments with chosen figures, as ``llem run`` writes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from llem_core.plugins import Plugins
from llem_core.results.experiment import ExperimentResult
from llem_core.study.record.manifest import ManifestEntry, StudyManifest
from llem_core.testing import scripted_sampler
from llenergymeasure import run_experiment

Experiment = Callable[..., Path]
Study = Callable[..., Path]
WithPlugins = Callable[..., AbstractContextManager[Plugins]]


@pytest.fixture
def measured(with_plugins: WithPlugins) -> ExperimentResult:
    """A real result with a metered energy."""
    with with_plugins(samplers=[scripted_sampler()]):
        return run_experiment(
            model="m",
            backend="scripted",
            n=3,
            max_output_tokens=4,
            scripted={"token_time_s": 0.001},
            baseline={"enabled": False},
            warmup={"enabled": False},
        )


def of(
    measured: ExperimentResult, energy_j: float | None, speed: float = 100.0, **changes: Any
) -> ExperimentResult:
    """The result with another energy per output token (J) and speed (1/s)."""
    figures: dict[str, Any] = {"output_tokens_per_second": speed, **changes}
    if energy_j is not None:
        total_j = energy_j * measured.output_tokens
        budget = measured.uncertainty
        assert budget is not None
        figures |= {"energy_per_output_token_j": energy_j, "energy_total_j": total_j}
        # 1 % as a standard uncertainty, between runs on one card.
        comparison_j = 0.01 * budget.coverage_factor * total_j
        figures["uncertainty"] = budget.model_copy(update={"comparison_j": comparison_j})
    return measured.model_copy(update=figures)


def write(folder: Path, result: ExperimentResult) -> Path:
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(result.model_dump_json())
    return folder


@pytest.fixture
def experiment(measured: ExperimentResult, tmp_path: Path) -> Experiment:
    """Writes one experiment: its name, its energy per output token (J), what else differs."""

    def make(name: str, energy_j: float | None = 1.0, **changes: Any) -> Path:
        return write(tmp_path / name, of(measured, energy_j, **changes))

    return make


@pytest.fixture
def study(measured: ExperimentResult, tmp_path: Path) -> Study:
    """Writes a study: energies per output token (J) by configuration, cycle after cycle."""

    def make(
        name: str,
        energies_j: Mapping[str, Sequence[float]],
        *,
        design: str = "d",
        nodes: Sequence[str | None] = (),
        **changes: Any,
    ) -> Path:
        entries = []
        for config_hash, values in energies_j.items():
            for cycle, energy_j in enumerate(values, start=1):
                folder = f"{config_hash}_c{cycle}"
                named = {"measurement_config_hash": config_hash, **changes}
                write(tmp_path / name / folder, of(measured, energy_j, 1 / energy_j, **named))
                entries.append(
                    ManifestEntry(
                        config_hash=config_hash,
                        cycle=cycle,
                        status="completed",
                        result_file=f"{folder}/result.json",
                        node=nodes[cycle - 1] if nodes else None,
                    )
                )
        manifest = StudyManifest(
            study_name=name,
            study_design_hash=design,
            status="completed",
            started_at="2026-01-01T00:00:00Z",
            experiments=entries,
        )
        (tmp_path / name / "manifest.json").write_text(manifest.model_dump_json())
        return tmp_path / name

    return make
