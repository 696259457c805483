"""For the tests of plugin authors and embedders: fakes without any hardware, and the kit.

The fakes are whole plugins whose speed, power and failures are scripted. The contract classes
check a plugin against the contract that it was written for; neither needs pytest.
"""

from llem_core.testing.backend import ScriptedBackend, ScriptedConfig, scripted_backend
from llem_core.testing.conformance import (
    BackendContract,
    ContractError,
    LauncherContract,
    Outcome,
    Rule,
    SamplerContract,
    ServingContract,
    SinkContract,
    run_contract,
)
from llem_core.testing.late_meter import LateMeter
from llem_core.testing.launcher import InlineLauncher, QueueLauncher
from llem_core.testing.plugin import FakePlugin
from llem_core.testing.power import ManualClock, PowerScript, ServedPower
from llem_core.testing.sampler import ScriptedSampler, scripted_sampler
from llem_core.testing.serving import ScriptedServer, ScriptedServingConfig, scripted_server
from llem_core.testing.sink import MemorySink, finished_experiment, finished_study, memory_sink

__all__ = [
    "BackendContract",
    "ContractError",
    "FakePlugin",
    "InlineLauncher",
    "LateMeter",
    "LauncherContract",
    "ManualClock",
    "MemorySink",
    "Outcome",
    "PowerScript",
    "QueueLauncher",
    "Rule",
    "SamplerContract",
    "ScriptedBackend",
    "ScriptedConfig",
    "ScriptedSampler",
    "ScriptedServer",
    "ScriptedServingConfig",
    "ServedPower",
    "ServingContract",
    "SinkContract",
    "finished_experiment",
    "finished_study",
    "memory_sink",
    "run_contract",
    "scripted_backend",
    "scripted_sampler",
    "scripted_server",
]
