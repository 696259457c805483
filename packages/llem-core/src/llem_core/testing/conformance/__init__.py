"""The conformance kit: what a plugin has to do, as checks that say what is wrong.

Each contract class is a set of tests without a test framework: pytest runs a subclass whose name
begins with ``Test``, and ``run_contract`` runs it without pytest.
"""

from llem_core.testing.conformance.backend_rules import BackendContract
from llem_core.testing.conformance.launching import LauncherContract
from llem_core.testing.conformance.rules import (
    ContractError,
    Outcome,
    Rule,
    checks_of,
    run_contract,
)
from llem_core.testing.conformance.sampler_rules import SamplerContract
from llem_core.testing.conformance.serving import ServingContract
from llem_core.testing.conformance.sink import SinkContract

__all__ = [
    "BackendContract",
    "ContractError",
    "LauncherContract",
    "Outcome",
    "Rule",
    "SamplerContract",
    "ServingContract",
    "SinkContract",
    "checks_of",
    "run_contract",
]
