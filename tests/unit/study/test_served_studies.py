"""Statistics of what configurations served under a load."""

from __future__ import annotations

import pytest
from llem_core.plugins import use_plugins
from llem_core.results.views.served import served_block
from llem_core.testing import InlineLauncher, scripted_sampler, scripted_server
from llenergymeasure import StudyResult, load_study, run_study

from tests.unit.conftest import make_plugins


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> StudyResult:
    content = {
        "model": "m",
        "backend": "scripted_server",
        "scripted_server": {"slots": 4, "first_token_time_s": 0.02, "token_time_s": 0.005},
        "n": 30,
        "max_output_tokens": 10,
        "baseline": {"enabled": False},
        "warmup": {"enabled": False},
        "load": {"ramp_seconds": 0.3, "window_seconds": 1.0, "slo": {"ttft_ms": 500}},
        "sweep": [
            {"load.mode": ["closed"], "load.concurrency": [1, 4]},
            {"load.mode": ["open"], "load.request_rate": [120.0]},
        ],
        "execution": {"n_cycles": 2, "cycle_order": "interleaved"},
    }
    output = tmp_path_factory.mktemp("served")
    with use_plugins(make_plugins(backends=[scripted_server()], samplers=[scripted_sampler()])):
        run_study(content, output_dir=output, launcher=InlineLauncher(), gaps=False)
    (folder,) = output.iterdir()
    return load_study(folder)


@pytest.mark.full
def test_levels_have_statistics_over_cycles(study: StudyResult) -> None:
    one, four, over = (configuration.load for configuration in study.configurations)
    assert one is not None
    assert four is not None
    assert over is not None
    assert (one.mode, four.mode, over.mode) == ("closed", "closed", "open")
    assert one.offered_requests_per_second is None
    assert over.offered_requests_per_second is not None
    assert over.offered_requests_per_second.mean == pytest.approx(120, rel=0.25)
    for load, expected in ((one, 1.0), (four, 4.0)):
        assert load.mean_concurrency is not None
        assert load.mean_concurrency.mean == pytest.approx(expected, rel=0.15)
        assert load.mean_concurrency.n == 2
        assert load.time_to_first_token_p50_s is not None
        assert load.time_to_first_token_p50_s.mean >= 0.02
        assert load.inter_token_latency_p50_s is not None
        assert load.inter_token_latency_p50_s.mean == pytest.approx(0.005, abs=1e-6)
        assert load.energy_per_request_j is not None
        assert load.energy_per_good_request_j is not None
        assert load.mean_power_w is not None
        assert load.mean_power_w.mean == pytest.approx(50)
    assert one.achieved_requests_per_second is not None
    assert four.achieved_requests_per_second is not None
    ratio = four.achieved_requests_per_second.mean / one.achieved_requests_per_second.mean
    assert ratio == pytest.approx(4, rel=0.25)
    assert (one.n_overloaded, over.n_overloaded) == (0, 2)


@pytest.mark.full
def test_they_read_as_a_table(study: StudyResult) -> None:
    block = served_block(study.configurations)
    assert block.table is not None
    titles = [column.title for column in block.table.columns]
    assert titles[:3] == ["tokens/s", "offered/s", "served/s"]
    assert block.table.columns[1].cells[:2] == ["none", "none"]
    assert any("more was offered than served in 2 of 2 cycles" in item for item in block.items)


@pytest.mark.full
def test_they_are_columns_of_a_frame(study: StudyResult) -> None:
    rows = study.to_rows("configuration")
    assert rows[0]["load_time_to_first_token_p50_mean_s"] >= 0.02
