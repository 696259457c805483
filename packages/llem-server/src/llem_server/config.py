"""Which server, and how it is asked: ``server`` in an experiment file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from llem_core.contracts import BackendSection
from llem_core.text import is_secret, short_hash
from pydantic import Field, model_validator

_OWN_FIELDS = frozenset(
    {"model", "prompt", "messages", "max_tokens", "stream", "stream_options", "seed"}
)


class ServerConfig(BackendSection):
    """A server that is there already (``base_url``), or one that is started (``command``)."""

    base_url: str | None = Field(
        None,
        min_length=1,
        description="Address of the server, such as `http://127.0.0.1:8000`; with `command`, "
        "`http://127.0.0.1:{port}` if not given.",
    )
    command: tuple[Annotated[str, Field(min_length=1)], ...] | None = Field(
        None,
        min_length=1,
        description="Program and arguments that start the server; `{port}` and `{model}` are "
        "filled in. It is ended, with everything that it started, when the run is over.",
    )
    environment: dict[str, str] = Field(
        default_factory=dict, description="Variables that are set for `command`."
    )
    log: str | None = Field(
        None,
        description="File for what `command` prints while it runs. In any case it stands in "
        "`engine.log` beside the result.",
    )
    ready_path: str = Field("/health", description="Path that answers 200 once it is ready.")
    ready_timeout_seconds: Annotated[float, Field(gt=0, le=86_400)] = Field(
        600.0, description="How long it may take to become ready (s)."
    )
    api: Literal["completions", "chat"] = Field(
        "completions", description="`completions`: the prompt as it is; `chat`: as a user's turn."
    )
    api_key_env: str | None = Field(
        None,
        min_length=1,
        description="Name of the variable that holds the key; never the key itself.",
    )
    headers_env: dict[str, str] = Field(
        default_factory=dict,
        description="Header to the name of the variable that holds its value.",
    )
    extra_body: dict[str, Any] = Field(
        default_factory=dict, description="Further fields of each request's body."
    )
    chat_template_kwargs: dict[str, Any] = Field(
        default_factory=dict,
        description="Arguments of the chat template, such as `enable_thinking`.",
    )
    devices: tuple[str, ...] = Field(
        (),
        description="UUIDs of the GPUs that it computes on; if not given, those on which NVML sees "
        "its processes.",
    )
    reuse: Literal["experiment", "study"] = Field(
        "experiment",
        description="`experiment`: `command` is started for each run; `study`: runs of one cycle "
        "that have the same server share it, and each cycle starts it anew.",
    )
    host: str | None = Field(
        None,
        min_length=1,
        description="Name of the machine that it computes on, where `base_url` does not tell it: "
        "behind a tunnel, a gateway or an address that is a number. A sampler that reads that "
        "machine calls it the same.",
    )
    metrics_path: str | None = Field(
        "/metrics", description="Path of its Prometheus counters; null: do not ask."
    )

    def shared_engine(self) -> str | None:
        """The server, by what it is started with; ``None`` where it is not shared."""
        if self.reuse == "experiment" or self.command is None:
            return None
        what = (self.command, sorted(self.environment.items()), self.base_url, self.ready_path)
        return f"server-{short_hash(what)[:8]}"

    @model_validator(mode="after")
    def _one_way_to_it(self) -> Self:
        if self.base_url is None and self.command is None:
            raise ValueError(
                "give base_url, the address of a server that is there, or command, which starts one"
            )
        if self.base_url is not None:
            parts = urlsplit(self.base_url.replace("{port}", "1"))
            if parts.scheme not in {"http", "https"} or not parts.hostname:
                raise ValueError(
                    f"base_url {self.base_url!r} is no address; write http://host:port"
                )
            try:
                parts.port  # noqa: B018 - reading it is what checks it
            except ValueError as error:
                raise ValueError(
                    f"base_url {self.base_url!r} has no port from 0 to 65535; write http://host:port"
                ) from error
            if parts.username or parts.password:
                raise ValueError("base_url holds a password; name a variable in api_key_env")
            if "{port}" in self.base_url and self.command is None:
                raise ValueError("`{port}` in base_url is for a server that command starts")
        if self.host is not None and self.command is not None:
            raise ValueError("host is for a server that is there; command starts one here")
        _refuse_secrets(
            (word.split("=", 1)[0].lstrip("-") for word in self.command or ()), "command"
        )
        _refuse_secrets(self.environment, "environment")
        taken = sorted(_OWN_FIELDS & self.extra_body.keys())
        if taken:
            raise ValueError(f"extra_body has {', '.join(taken)}, which llem sets itself")
        if self.chat_template_kwargs and self.api != "chat":
            raise ValueError("chat_template_kwargs is for `api: chat`")
        return self


def _refuse_secrets(names: Iterable[str], where: str) -> None:
    """What a file, a result or a list of processes would show is no place for a key.

    Raises:
        ValueError: a name is one that holds a secret.
    """
    found = next(filter(is_secret, names), None)
    if found is not None:
        raise ValueError(
            f"{where} would show {found} in files and to other users; set a variable in your own "
            "environment, which the server inherits, and name it in api_key_env"
        )
