"""What an exporter's text says, and how exporters are asked."""

from itertools import pairwise

import pytest
from llem_core.errors import EnergyError
from llem_core.testing import PowerScript
from llem_energy_dcgm.config import DcgmConfig
from llem_energy_dcgm.exporter import ExporterError, HttpExporter
from llem_energy_dcgm.exposition import NotMetricsError, Reader
from llem_energy_dcgm.sampler import host_of
from llem_energy_dcgm.testing import ScriptedExporter, ScriptedGpu, serving
from pydantic import ValidationError

LABELS = (
    'gpu="3",UUID="GPU-a",device="nvidia3",modelName="NVIDIA H100 80GB HBM3",Hostname="node}7",'
    'pod="a \\"b\\" {c}"'
)


def read(*lines: str) -> object:
    return Reader().cards("".join(f"{line}\n" for line in lines))["GPU-a"]


def test_fields_come_in_base_units() -> None:
    card = Reader().cards(
        f"# TYPE DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION counter\n"
        f"DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{{{LABELS}}} 123456\n"
        f"DCGM_FI_DEV_POWER_USAGE{{{LABELS}}} 301.25 1690000000000\n"
        f"DCGM_FI_DEV_GPU_TEMP{{{LABELS}}} 61\n"
        f"DCGM_FI_DEV_GPU_UTIL{{{LABELS}}} 97\n"
        f"DCGM_FI_DEV_FB_USED{{{LABELS}}} 2\n"
        f"DCGM_FI_DEV_SM_CLOCK{{{LABELS}}} 1980\n"
        f"DCGM_FI_DEV_MEM_CLOCK{{{LABELS}}} 2619\n"
        f"DCGM_FI_DEV_CLOCKS_EVENT_REASONS{{{LABELS}}} 36\n"
        f"DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL{{{LABELS}}} broken\n"
        f"process_cpu_seconds_total 3\n"
    )["GPU-a"]
    values = card.values
    assert (values.energy_j, values.power_w) == (123.456, 301.25)
    assert (values.temperature_c, values.utilisation_percent) == (61, 97)
    assert (values.memory_bytes, values.sm_clock_hz) == (2 * 2**20, 1.98e9)
    assert values.memory_clock_hz == 2.619e9
    assert values.throttle_reasons == ("sw_power_cap", "sw_thermal_slowdown")
    assert (card.label, card.hostname) == ("NVIDIA H100 80GB HBM3", "node}7")


@pytest.mark.parametrize(
    "value", ["NaN", "+Inf", "-1", "9223372036854775794", "1.40737488355328e14"]
)
def test_what_is_no_number_is_not_known(value: str) -> None:
    card = Reader().cards(f"DCGM_FI_DEV_POWER_USAGE{{{LABELS}}} {value}\n")["GPU-a"]
    assert card.values.power_w is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("<!doctype html><p>DCGM_FI_DEV_POWER_USAGE", "web page"),
        ("", "empty"),
        ("node_load1 0.2\n", "DCGM exporter"),
        ('DCGM_FI_DEV_POWER_USAGE{gpu=0,UUID="GPU-a"} 3\n', "broken"),
        ('DCGM_FI_DEV_POWER_USAGE{UUID="GPU-a"} three\n', "no number"),
    ],
)
def test_what_is_no_metrics_says_what_it_is(text: str, reason: str) -> None:
    with pytest.raises(NotMetricsError, match=reason):
        Reader().cards(text)


def exporter(url: str, **section: object) -> HttpExporter:
    return HttpExporter(DcgmConfig.model_validate({"url": url, "timeout_seconds": 0.5} | section))


GPUS = [ScriptedGpu(PowerScript((0, 300.0)), uuid="GPU-a")]


def test_it_is_asked_over_one_connection() -> None:
    with serving(ScriptedExporter(GPUS)) as server:
        asking = exporter(server.url)
        answers = [asking.ask() for _ in range(3)]
        asking.close()
    assert all("GPU-a" in Reader().cards(answer.text) for answer in answers)
    assert all(a.asked_s <= a.answered_s <= b.asked_s for a, b in pairwise(answers))


@pytest.mark.parametrize(
    ("misbehaviour", "reason"),
    [
        ("http_401", "wants credentials"),
        ("http_500", "500"),
        ("redirect", r"302 and points to http://192\.0\.2\.1"),
        ("silent", "in time"),
        ("restart", "cannot be reached|did not answer"),
    ],
)
def test_what_goes_wrong_on_the_way_is_said(misbehaviour: str, reason: str) -> None:
    with serving(ScriptedExporter(GPUS, misbehaviour=misbehaviour)) as server:
        asking = exporter(server.url)
        with pytest.raises(ExporterError, match=reason):
            asking.ask()
        asking.close()


def test_one_that_was_restarted_is_asked_anew() -> None:
    with serving(ScriptedExporter(GPUS)) as server:
        asking = exporter(server.url)
        asking.ask()
        server.scripted = ScriptedExporter(GPUS, misbehaviour="restart")
        with pytest.raises(ExporterError):
            asking.ask()
        server.scripted = ScriptedExporter(GPUS)
        assert "GPU-a" in asking.ask().text
        asking.close()


def test_nobody_there() -> None:
    with pytest.raises(ExporterError, match="cannot be reached"):
        exporter("http://127.0.0.1:9").ask()


def test_a_header_comes_from_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DCGM_TOKEN", raising=False)
    with pytest.raises(EnergyError, match="DCGM_TOKEN, which is not set"):
        exporter("http://127.0.0.1:9", headers_env={"Authorization": "DCGM_TOKEN"})


@pytest.mark.parametrize(
    ("section", "host"),
    [
        ({"url": "http://gpu-node:9400/metrics"}, "gpu-node"),
        ({"url": "http://10.0.0.5:9400/metrics", "host": "gpu-node"}, "gpu-node"),
        ({"url": "http://127.0.0.1:9400/metrics"}, None),
        ({"url": "http://localhost:9400/metrics"}, None),
        ({"url": "http://[::1]:9400/metrics"}, None),
    ],
)
def test_the_machine_that_it_reads(section: dict[str, str], host: str | None) -> None:
    assert host_of(DcgmConfig.model_validate(section)) == host


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("gpu-node:9400", "no address"),
        ("http://a:b@gpu-node", "password"),
        ("http://n:99999", "65"),
    ],
)
def test_addresses_that_cannot_be_are_refused(url: str, problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        DcgmConfig(url=url)
