"""What can be said of a server without starting or asking it for work."""

from __future__ import annotations

import shutil
from urllib.parse import urlsplit

from llem_core.contracts import CheckReport, Workload
from llem_core.errors import BackendError

from llem_server.address import address_of, is_taken
from llem_server.config import ServerConfig
from llem_server.devices import has_gpu


def check(workload: Workload) -> CheckReport:
    """Look at the configuration, at the port, and at the program."""
    section = workload.section
    assert isinstance(section, ServerConfig)
    problems = []
    away = section.host is not None
    try:
        address = address_of(section)
        away = away or not address.is_local
    except BackendError as error:
        problems.append(str(error))
    if section.command is not None and shutil.which(section.command[0]) is None:
        problems.append(f"server.command: there is no program {section.command[0]!r}")
    if section.command is not None and section.base_url and "{port}" not in section.base_url:
        parts = urlsplit(section.base_url)
        if parts.port and is_taken(parts.hostname or "", parts.port):
            problems.append(
                f"port {parts.port} is taken, so that server.command could not listen there; end "
                "what listens, or write {port} in base_url and command for a free one"
            )
    if workload.lora is not None:
        problems.append("a server loads its own adapters; take the section lora away")
    # What another machine computes on is known to nobody here: meters of GPUs may read it.
    gpu = bool(section.devices) or away or (section.command is not None and has_gpu())
    return CheckReport(problems=tuple(problems), device_kind="gpu" if gpu else "cpu")
