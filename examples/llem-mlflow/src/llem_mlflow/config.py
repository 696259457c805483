"""The section ``mlflow`` of an experiment file; its presence turns the sink on."""

from __future__ import annotations

from llem_core.contracts import Section
from pydantic import Field


class MlflowConfig(Section):
    """Where runs are kept, and under which experiment."""

    tracking_uri: str | None = Field(
        None,
        description="Where MLflow keeps runs, such as `sqlite:///mlflow.db`; null for what "
        "MLFLOW_TRACKING_URI says, or MLflow's own default. Passwords belong into "
        "MLFLOW_TRACKING_PASSWORD.",
    )
    experiment: str = Field("llem", min_length=1, description="Name of MLflow's experiment.")
    tags: dict[str, str] = Field({}, description="Tags of each run, such as `{team: inference}`.")
