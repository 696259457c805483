"""The sink: finished experiments and studies become runs of Weights & Biases."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llem_core.contracts import ResultSink, Section

from llem_wandb.config import WandbConfig
from llem_wandb.figures import facts, key, metrics, reasons, settings

if TYPE_CHECKING:
    from llem_core.contracts.sink import FinishedExperiment, FinishedStudy

_LONGEST_NAME = 128


class WandbSink(ResultSink):
    """Writes a run, after the measurement, and ends the client's own process again.

    A run is known by its configuration, start and process: written again it has the same id, which
    the server takes as the same run.
    """

    def __init__(self, section: Section | None) -> None:
        super().__init__(section)
        self._config = section if isinstance(section, WandbConfig) else WandbConfig()

    def write_experiment(self, finished: FinishedExperiment, directory: Path) -> Sequence[Path]:
        """Write one run; nothing goes into ``directory``."""
        del directory
        result = finished.result.model_dump(mode="json")
        config = {
            **settings(result),
            "llem": facts(result),
            "unavailable": reasons(result),
        }
        title = f"{result['model']}, {result['backend']}"
        self._write(key(result), title, "experiment", config, metrics(result), result)
        return []

    def write_study(self, finished: FinishedStudy, directory: Path) -> Sequence[Path]:
        """Write one run for the study; those of its experiments are there already."""
        del directory
        study = finished.result.model_dump(mode="json")
        name = f"{study['study_design_hash']}-{study['started_at']}-{study['study_name']}"
        numbers = {
            figure: value
            for figure, value in study["summary"].items()
            if isinstance(value, int | float) and not isinstance(value, bool)
        }
        config = {"study_name": study["study_name"], "status": study["status"]}
        config |= {k: v for k, v in study["measurement_protocol"].items() if v is not None}
        self._write(name, f"study {study['study_name']}", "study", config, numbers, study)
        return []

    def _write(
        self,
        name: str,
        title: str,
        kind: str,
        config: Mapping[str, Any],
        figures: Mapping[str, float],
        content: Mapping[str, Any],
    ) -> None:
        import wandb

        # The client puts hooks of its own in their places, and leaves them there.
        hook, leave = sys.excepthook, sys.exit
        folder = Path(self._config.folder).expanduser().absolute()
        folder.mkdir(parents=True, exist_ok=True)
        run = wandb.init(
            project=self._config.project,
            entity=self._config.entity,
            mode=self._config.mode,
            dir=str(folder),
            id=hashlib.sha256(name.encode()).hexdigest()[:16],
            name=" ".join(title.split())[:_LONGEST_NAME],
            job_type=kind,
            tags=self._config.tags,
            config=dict(config),
            reinit="create_new",
            settings=_settings(wandb),
        )
        try:
            run.summary.update(dict(figures))
            file = Path(run.dir) / ("result.json" if kind == "experiment" else "study_result.json")
            file.write_text(json.dumps(content, indent=2), encoding="utf-8")
            run.save(str(file), base_path=run.dir, policy="now")
        finally:
            run.finish()
            if wandb.run is None:  # nobody else in this process has a run
                wandb.teardown()
                sys.excepthook, sys.exit = hook, leave


def _settings(wandb: Any) -> Any:
    """The client watches nothing of this machine: names, programs and meters are no part of it."""
    return wandb.Settings(
        console="off",
        silent=True,
        disable_git=True,
        save_code=False,
        x_disable_machine_info=True,
        x_disable_meta=True,
        x_disable_stats=True,
        x_save_requirements=False,
    )
