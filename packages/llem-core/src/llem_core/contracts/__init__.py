"""All that a plugin author imports.

``hookspecs`` has the hooks, ``backend``, ``sampler`` and ``sink`` one base class and one spec
each with a whole working example, ``section`` the base of a plugin's configuration,
``workload`` what goes into a plugin and ``readings`` what comes out of it. ``launcher`` has
how a study gives its experiments their processes, ``messages`` what passes between them.
"""

from typing import TYPE_CHECKING, Any

from llem_core.contracts.backend import (
    Backend,
    BackendSpec,
    CheckReport,
    DeviceInfo,
    InferenceBackend,
    MemoryReading,
    ModelInfo,
    RunFacts,
)
from llem_core.contracts.compute import AttentionShape, ComputeShape
from llem_core.contracts.config import BackendSection, DecoderConfig, LoRAConfig, Section
from llem_core.contracts.hookspecs import CONTRACT_VERSION, Availability, hookimpl
from llem_core.contracts.launcher import Launcher, LauncherSpec, Running, RunState
from llem_core.contracts.sampler import (
    DomainKind,
    DomainReading,
    EnergyMethod,
    EnergyReading,
    EnergySampler,
    Growth,
    PowerSample,
    SamplerSettings,
    SamplerSpec,
    SensorProbe,
    UncertaintyComponent,
    UsedDevices,
    user_data_folder,
)
from llem_core.contracts.service import StudyService
from llem_core.contracts.serving import Arrival, Chunk, ServedRequest, ServingBackend
from llem_core.contracts.sink import ResultSink, SinkSpec
from llem_core.contracts.workload import (
    Batch,
    BatchOutput,
    LoadMode,
    Precision,
    Prompt,
    Purpose,
    RequestOutput,
    Workload,
)
from llem_core.files import write_atomically

if TYPE_CHECKING:
    from llem_core.contracts.messages import (
        LaunchFailure,
        LaunchResult,
        LaunchSuccess,
        LaunchTask,
        Resources,
        decode,
        encode,
    )
    from llem_core.events import Event

__all__ = [
    "CONTRACT_VERSION",
    "Arrival",
    "AttentionShape",
    "Availability",
    "Backend",
    "BackendSection",
    "BackendSpec",
    "Batch",
    "BatchOutput",
    "CheckReport",
    "Chunk",
    "ComputeShape",
    "DecoderConfig",
    "DeviceInfo",
    "DomainKind",
    "DomainReading",
    "EnergyMethod",
    "EnergyReading",
    "EnergySampler",
    "Event",
    "Growth",
    "InferenceBackend",
    "LaunchFailure",
    "LaunchResult",
    "LaunchSuccess",
    "LaunchTask",
    "Launcher",
    "LauncherSpec",
    "LoRAConfig",
    "LoadMode",
    "MemoryReading",
    "ModelInfo",
    "PowerSample",
    "Precision",
    "Prompt",
    "Purpose",
    "RequestOutput",
    "Resources",
    "ResultSink",
    "RunFacts",
    "RunState",
    "Running",
    "SamplerSettings",
    "SamplerSpec",
    "Section",
    "SensorProbe",
    "ServedRequest",
    "ServingBackend",
    "SinkSpec",
    "StudyService",
    "UncertaintyComponent",
    "UsedDevices",
    "Workload",
    "decode",
    "encode",
    "hookimpl",
    "user_data_folder",
    "write_atomically",
]

_MESSAGES = frozenset(
    {
        *("LaunchFailure", "LaunchResult", "LaunchSuccess", "LaunchTask", "Resources"),
        *("decode", "encode"),
    }
)


def __getattr__(name: str) -> Any:
    # Imported when asked for: a command that starts no run does without them.
    if name == "Event":
        from llem_core import events

        return events.Event
    if name in _MESSAGES:
        from llem_core.contracts import messages

        return getattr(messages, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
