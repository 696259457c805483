"""Which exporter, and how it is asked: ``dcgm`` in an experiment file."""

from __future__ import annotations

from typing import Annotated, Self
from urllib.parse import urlsplit

from llem_core.contracts import Section
from pydantic import Field, model_validator


class DcgmConfig(Section):
    """The Prometheus endpoint of a DCGM exporter."""

    url: str | None = Field(
        None,
        min_length=1,
        description="Address of the exporter's metrics, such as `http://gpu-node:9400/metrics`.",
    )
    host: str | None = Field(
        None,
        min_length=1,
        description="Name of the machine whose GPUs it reads, as `server.host` or the server's "
        "`base_url` has it; if not given, the host in `url`.",
    )
    poll_seconds: Annotated[float, Field(ge=0.02, le=60)] = Field(
        0.2,
        description="Least time between two requests (s). A twentieth of the exporter's own period "
        "is taken where that is longer.",
    )
    timeout_seconds: Annotated[float, Field(gt=0, le=60)] = Field(
        2.0, description="How long one answer may take (s)."
    )
    longest_update_seconds: Annotated[float, Field(gt=0, le=600)] = Field(
        65.0,
        description="Longest time between two updates of the exporter (s); what stands still for "
        "longer is taken for frozen. The exporter's own default is an update each 30 s.",
    )
    lag_seconds: Annotated[float, Field(ge=0, le=600)] | None = Field(
        None,
        description="How long after DCGM has read the counter the exporter shows it (s), where "
        "that is known; if not given, anything from none to one update is allowed for.",
    )
    headers_env: dict[str, str] = Field(
        default_factory=dict,
        description="Header to the name of the variable that holds its value, such as "
        "`Authorization: DCGM_TOKEN`.",
    )

    @model_validator(mode="after")
    def _is_an_address(self) -> Self:
        if self.url is None:
            return self
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"url {self.url!r} is no address; write http://host:9400/metrics")
        try:
            parts.port  # noqa: B018 - reading it is what checks it
        except ValueError as error:
            raise ValueError(
                f"url {self.url!r} has no port from 0 to 65535; write http://host:9400/metrics"
            ) from error
        if parts.username or parts.password:
            raise ValueError("url holds a password; name a variable in headers_env")
        return self
