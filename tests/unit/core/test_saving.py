"""Results whose folder cannot be written, before and after they are measured."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from llem_core.api import run_and_save
from llem_core.config.experiment import ExperimentConfig
from llem_core.errors import ExperimentError, PreFlightError
from llem_core.events import Event, ExperimentFinished
from llem_core.files import check_writable
from llenergymeasure import ExperimentResult, run_experiment

FIELDS = {
    "model": "m",
    "backend": "scripted",
    "n": 1,
    "baseline": {"enabled": False},
    "warmup": {"enabled": False},
}


def test_what_cannot_be_written_is_refused_beforehand(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "nowhere")
    for output in (link, link / "below"):
        with pytest.raises(PreFlightError, match="is a link to what does not exist"):
            check_writable(output)
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(PreFlightError, match="Not a directory"):
        check_writable(file)
    with pytest.raises(PreFlightError, match=r"about .* are needed at .* are free; make room"):
        check_writable(tmp_path, shutil.disk_usage(tmp_path).total + 1)
    assert sorted(tmp_path.iterdir()) == [file, link]


def test_a_current_folder_that_was_removed_is_named(tmp_path: Path) -> None:
    before = Path.cwd()
    gone = tmp_path / "gone"
    gone.mkdir()
    os.chdir(gone)
    try:
        gone.rmdir()
        with pytest.raises(PreFlightError, match="current folder does not exist any more"):
            check_writable(Path("results"))
    finally:
        os.chdir(before)


class Blocker:
    """Puts a file in the place of the output folder once everything has been measured."""

    def __init__(self, output: Path) -> None:
        self.output = output

    def __call__(self, event: Event) -> None:
        if isinstance(event, ExperimentFinished):
            self.output.touch()


@pytest.mark.usefixtures("scripted")
def test_a_result_that_cannot_be_written_is_kept_elsewhere(tmp_path: Path) -> None:
    output = tmp_path / "out"
    config = ExperimentConfig.model_validate(FIELDS)
    saved = run_and_save(config, output, Blocker(output))
    assert saved.directory is not None
    assert saved.error is not None
    assert saved.error.endswith(f"It is kept in {saved.directory}.")
    text = (saved.directory / "result.json").read_text()
    assert ExperimentResult.model_validate_json(text).n_requests == saved.result.n_requests
    shutil.rmtree(saved.directory)
    output.unlink()
    with pytest.raises(ExperimentError, match="It is kept in ") as caught:
        run_experiment(config, output_dir=output, listener=Blocker(output))
    shutil.rmtree(str(caught.value).rpartition(" ")[2].rstrip("."))
