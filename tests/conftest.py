"""Options of the test run, and what tests tell at its end."""

from __future__ import annotations

import gc
import signal
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings

_TOLD = "told"

# How long an example takes says more of the machine than of the code.
settings.register_profile("llem", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("llem")


# Started with an ignored SIGINT, as a script's background jobs are, every command under test would
# rightly ignore it too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--full", action="store_true", help="Run the tests that are marked `full`, too."
    )
    group = parser.getgroup("faults")
    group.addoption(
        "--faults",
        type=int,
        default=300,
        help="Faults that the full test of tests/faults inflicts.",
    )
    group.addoption(
        "--slurm-faults",
        type=int,
        default=8,
        help="Faults that the full test of tests/integration/slurm inflicts.",
    )
    group.addoption(
        "--served-faults",
        type=int,
        default=20,
        help="Kills of server, client and study that the full test of served studies inflicts.",
    )
    group.addoption(
        "--seed", type=int, default=None, help="Seed of tests/faults; drawn and printed if absent."
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--full"):
        return
    left_out = [item for item in items if item.get_closest_marker("full")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]


def pytest_collection_finish() -> None:
    """Leave out of later garbage collections what was imported and collected.

    The harness collects garbage before each window, and hundreds of tests have one: each would look
    through all of torch and of pytest.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Have a text printed at the end of the run, whichever process the test runs in."""
    return lambda text: record_property(_TOLD, text)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [report for each in terminalreporter.stats.values() for report in each]
    for report in reports:
        if getattr(report, "when", None) == "call":
            for name, text in report.user_properties:
                if name == _TOLD:
                    terminalreporter.section(report.nodeid)
                    terminalreporter.write_line(str(text))
