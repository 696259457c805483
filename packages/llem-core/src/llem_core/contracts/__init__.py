"""All that a plugin author imports.

``hookspecs`` has the hooks, ``backend``, ``sampler`` and ``sink`` one base class and one spec
each with a whole working example, ``section`` the base of a plugin's configuration,
``workload`` what goes into a plugin and ``readings`` what comes out of it. ``launcher`` has
how a study gives its experiments their processes, ``messages`` what passes between them.
"""

from llem_core.atomic import write_atomically
from llem_core.contracts.backend import BackendSpec, InferenceBackend
from llem_core.contracts.decoder import DecoderConfig
from llem_core.contracts.hookspecs import CONTRACT_VERSION, hookimpl
from llem_core.contracts.launcher import Launcher, Running
from llem_core.contracts.lora import LoRAConfig
from llem_core.contracts.messages import (
    LaunchFailure,
    LaunchResult,
    LaunchSuccess,
    LaunchTask,
    decode,
    encode,
)
from llem_core.contracts.readings import (
    Availability,
    BatchOutput,
    CheckReport,
    DeviceInfo,
    DomainKind,
    DomainReading,
    EnergyMethod,
    EnergyReading,
    MemoryReading,
    ModelInfo,
    PowerSample,
    RequestOutput,
    SensorProbe,
    UncertaintyComponent,
)
from llem_core.contracts.sampler import (
    EnergySampler,
    SamplerSettings,
    SamplerSpec,
    user_data_folder,
)
from llem_core.contracts.section import BackendSection, Section
from llem_core.contracts.sink import ResultSink, SinkSpec
from llem_core.contracts.visible import VisibleGpus, visible_gpus
from llem_core.contracts.workload import Batch, Precision, Prompt, Workload
from llem_core.events import Event

__all__ = [
    "CONTRACT_VERSION",
    "Availability",
    "BackendSection",
    "BackendSpec",
    "Batch",
    "BatchOutput",
    "CheckReport",
    "DecoderConfig",
    "DeviceInfo",
    "DomainKind",
    "DomainReading",
    "EnergyMethod",
    "EnergyReading",
    "EnergySampler",
    "Event",
    "InferenceBackend",
    "LaunchFailure",
    "LaunchResult",
    "LaunchSuccess",
    "LaunchTask",
    "Launcher",
    "LoRAConfig",
    "MemoryReading",
    "ModelInfo",
    "PowerSample",
    "Precision",
    "Prompt",
    "RequestOutput",
    "ResultSink",
    "Running",
    "SamplerSettings",
    "SamplerSpec",
    "Section",
    "SensorProbe",
    "SinkSpec",
    "UncertaintyComponent",
    "VisibleGpus",
    "Workload",
    "decode",
    "encode",
    "hookimpl",
    "user_data_folder",
    "visible_gpus",
    "write_atomically",
]
