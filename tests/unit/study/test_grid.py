from __future__ import annotations

import contextlib
import gc
import itertools
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, Self

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llem_core.config.experiment import ExperimentConfig
from llem_core.config.sweep.expand import Expansion, expand_grid
from llem_core.errors import ConfigError
from llem_core.plugins import Plugins, use_plugins
from llem_core.testing import FakePlugin, ScriptedConfig, scripted_backend
from llem_core.text import short_hash
from pydantic import model_validator

pytestmark = pytest.mark.usefixtures("scripted")
Within = Callable[..., AbstractContextManager[Plugins]]


def expand(over: dict[str, Any] | None = None, **study: Any) -> Expansion:
    return expand_grid({"model": "m", "backend": "scripted", **study}, over=over)


def refusal(over: dict[str, Any] | None = None, **study: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        expand(over, **study)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def seen(expansion: Expansion, *names: str) -> list[tuple[Any, ...]]:
    return [
        tuple(getattr(config, n, None) or getattr(config.section, n) for n in names)
        for config in expansion.experiments
    ]


def test_two_scoped_paths_of_two_values_are_four_experiments() -> None:
    found = expand(sweep={"scripted.batch_size": [1, 8], "scripted.precision": ["fp32", "fp16"]})
    assert seen(found, "batch_size", "precision") == [
        (1, "fp32"),
        (1, "fp16"),
        (8, "fp32"),
        (8, "fp16"),
    ]
    assert found.n_generated == 4
    assert list(found.labels.values())[1] == "scripted.batch_size=1, scripted.precision=fp16"


def test_a_study_without_sweep_is_one_experiment() -> None:
    found = expand(name="x", execution={"n_cycles": 3}, sweep=None, experiments=[])
    assert len(found.experiments) == found.n_generated == 1
    assert list(found.labels.values()) == ["m"]


def test_a_list_of_grids_is_their_union_and_the_explicit_list_comes_last() -> None:
    found = expand(
        sweep=[{"n": [1, 2]}, {"max_output_tokens": [8, 16], "precision": ["fp16"]}],
        experiments=[{"scripted": {"batch_size": 3}}],
    )
    assert seen(found, "n", "max_output_tokens", "batch_size") == [
        (1, 128, 1),
        (2, 128, 1),
        (100, 8, 1),
        (100, 16, 1),
        (100, 128, 3),
    ]


def test_items_of_the_list_are_merged_over_the_shared_fields() -> None:
    found = expand(
        scripted={"batch_size": 4, "token_time_s": 0.5, "precision": "bf16"},
        experiments=[{"precision": "fp32"}, {"scripted": {"batch_size": 2}}],
    )
    assert seen(found, "batch_size", "token_time_s", "precision") == [
        (4, 0.5, "fp32"),
        (2, 0.5, "bf16"),
    ]


def test_a_scoped_path_multiplies_its_backends_experiments_alone(with_plugins: Within) -> None:
    with with_plugins(backends=[scripted_backend(), scripted_backend("other")]):
        found = expand(
            sweep={
                "scripted.batch_size": [1, 2, 3],
                "backend": ["scripted", "other"],
                "other.precision": ["fp16", "bf16"],
            }
        )
        assert [(c.backend, c.precision) for c in found.experiments] == [
            ("scripted", "auto"),
            ("other", "fp16"),
            ("other", "bf16"),
            ("scripted", "auto"),
            ("scripted", "auto"),
        ]
        assert found.n_generated == 5
        assert found.merged == ()


def test_a_backend_that_is_not_installed_is_skipped_once_with_what_to_do() -> None:
    found = expand(
        sweep={"backend": ["scripted", "pytorch"], "scripted.batch_size": [1, 2]},
    )
    assert len(found.experiments) == 2
    (skipped,) = found.skipped
    assert "pip install llem-pytorch" in skipped.reason
    assert skipped.label == "backend=pytorch"
    assert skipped.fields["backend"] == "pytorch"


def test_an_invalid_combination_is_skipped_with_its_reason() -> None:
    found = expand(sweep={"decoder.top_k": [5], "decoder.do_sample": [True, False]})
    assert len(found.experiments) == 1
    assert "do_sample" in found.skipped[0].reason
    assert found.skipped[0].label == "decoder.do_sample=false"
    assert found.n_generated == 2


def test_all_skipped_is_an_error_with_the_reasons() -> None:
    told = refusal(sweep={"precision": ["fp8", "int4"], "n": [1, 2]})
    assert "none of its 4 combinations" in told
    assert "not 'fp8' (2 of them)" in told


def test_identical_experiments_are_merged_and_said() -> None:
    found = expand(sweep={"n": [5, 5]}, experiments=[{"n": 5, "energy": {"sampler": "auto"}}])
    assert len(found.experiments) == 1
    assert found.n_generated == 3
    assert "3 combinations are the same experiment" in found.merged[0]


def test_a_swept_general_field_wins_over_the_sections_and_scoped_wins_over_general() -> None:
    found = expand(scripted={"precision": "bf16"}, sweep={"precision": ["fp32", "fp16"]})
    assert seen(found, "precision") == [("fp32",), ("fp16",)]
    both = expand(sweep={"scripted.precision": ["bf16"], "precision": ["fp32", "fp16"]})
    assert seen(both, "precision") == [("bf16",)]
    assert len(both.merged) == 1


def test_what_is_laid_over_the_sweep_wins_and_is_said() -> None:
    found = expand(
        {"scripted": {"batch_size": 4}},
        sweep={"scripted.batch_size": [1, 2], "n": [1, 2]},
        experiments=[{"scripted": {"batch_size": 9}, "n": 3}],
    )
    assert seen(found, "batch_size", "n") == [(4, 1), (4, 2), (4, 3)]
    assert list(found.labels.values()) == ["n=1", "n=2", "n=3"]
    assert "sweep.scripted.batch_size" in found.merged[0]
    assert found.n_generated == 5


def test_a_shared_field_over_the_sweep_wins_over_a_scoped_path() -> None:
    found = expand({"precision": "fp16"}, sweep={"scripted.precision": ["fp32", "bf16"]})
    assert seen(found, "precision") == [("fp16",)]


def test_a_value_that_is_a_mapping_or_a_list_stands_as_a_whole() -> None:
    found = expand(
        passthrough_kwargs={"a": {"x": 1}},
        sweep={"passthrough_kwargs.a": [{"y": 2}, [1, 2], None]},
    )
    assert [c.passthrough_kwargs["a"] for c in found.experiments] == [{"y": 2}, [1, 2], None]
    sections = expand(sweep={"scripted": [{"batch_size": 2, "precision": "fp16"}, {}]})
    assert seen(sections, "batch_size", "precision") == [(2, "fp16"), (1, "auto")]


def test_a_data_set_given_as_a_word_can_be_swept_into() -> None:
    found = expand(dataset="synthetic", sweep={"dataset.input_tokens": [8, 16]})
    assert [c.dataset.input_tokens for c in found.experiments] == [8, 16]
    assert {c.dataset.source for c in found.experiments} == {"synthetic"}


@pytest.mark.parametrize(
    ("study", "told"),
    [
        ({"sweep": {"n": 5}}, "sweep.n: 5 is no list; write `[5]`"),
        ({"sweep": {"n": []}}, "sweep.n: the list is empty"),
        ({"sweep": {"scripted": {"batch_size": [1]}}}, "`scripted.batch_size: […]`"),
        ({"sweep": "n"}, "a mapping of paths to lists"),
        ({"sweep": [{"n": [1]}, "n"]}, "sweep.1: "),
        ({"sweep": {"n.x": [1]}, "n": 4}, "sweep.n.x: n is 4, which has no keys"),
        ({"sweep": {"..n": [1]}}, "is no path"),
        ({"sweep": {3: [1]}}, "3 is no path"),
        ({"sweep": {"execution.n_cycles": [1, 2]}}, "belongs to the study as a whole"),
        ({"sweep": {"name": ["a"]}}, "belongs to the study as a whole"),
        ({"sweep": {"base": ["a"]}}, "belongs to the study as a whole"),
        ({"sweep": {"precison": ["fp16"]}}, "did you mean 'precision'?"),
        ({"precison": "fp16"}, "precison: unknown key; did you mean 'precision'?"),
        ({"sweeps": {}}, "did you mean 'sweep'?"),
        ({"sweep": {"decoder": [{}], "decoder.top_k": [1]}}, "overlap"),
        ({"experiments": {"n": 1}}, "a list of experiments"),
        ({"experiments": [3]}, "experiments.0: 3 is no experiment"),
        ({"experiments": [{"sweep": {}}]}, "experiments.0.sweep"),
        ({"experiments": [{"scripted.batch_size": 1}]}, "only sweep has paths"),
        (
            {"sweep": {"n": list(range(1, 1001)), "random_seed": list(range(1000))}},
            "1,000,000 combinations",
        ),
    ],
)
def test_a_mistake_in_the_grammar_names_the_key_and_the_remedy(
    study: dict[str, Any], told: str
) -> None:
    assert told in refusal(**study)


def test_a_number_that_has_no_json_is_skipped_and_not_a_crash() -> None:
    found = expand(sweep={"passthrough_kwargs.x": [1.0, float("nan")]})
    assert len(found.experiments) == 1
    assert "passthrough_kwargs" in found.skipped[0].reason


SWEEPS = st.fixed_dictionaries(
    {},
    optional={
        "n": st.lists(st.integers(1, 50), min_size=1, max_size=3, unique=True),
        "random_seed": st.lists(st.integers(0, 50), min_size=1, max_size=3, unique=True),
        "scripted.batch_size": st.lists(st.integers(1, 64), min_size=1, max_size=3, unique=True),
        "scripted.precision": st.lists(
            st.sampled_from(["fp32", "fp16", "bf16"]), min_size=1, max_size=3, unique=True
        ),
        "warmup.n_warmup": st.lists(st.integers(1, 9), min_size=1, max_size=3, unique=True),
        "lora": st.just([None, {"adapter": "a"}]),
        "dataset": st.just(["bundled", {"source": "synthetic"}]),
    },
)


@settings(max_examples=50)
@given(SWEEPS)
def test_a_grid_is_the_product_in_the_order_of_its_keys(sweep: dict[str, list[Any]]) -> None:
    found = expand(sweep=sweep)
    expected = []
    for values in itertools.product(*sweep.values()):
        fields: dict[str, Any] = {"model": "m", "backend": "scripted", "scripted": {}, "warmup": {}}
        for path, value in zip(sweep, values, strict=True):
            root, _, rest = path.partition(".")
            if rest:
                fields[root][rest] = value
            else:
                fields[root] = value
        expected.append(ExperimentConfig.model_validate(fields))
    assert list(found.experiments) == expected
    assert [c.measurement_config_hash for c in found.experiments] == [
        c.measurement_config_hash for c in expected
    ]
    # Found part by part in the grid, and from the whole here: the two ways must agree.
    for config in found.experiments:
        fresh = ExperimentConfig.model_validate(config.model_dump())
        assert fresh.measurement_config_hash == config.measurement_config_hash
        assert short_hash(config.canonical()) == config.measurement_config_hash


@settings(max_examples=50)
@given(SWEEPS, SWEEPS)
def test_a_union_has_both_grids_each_experiment_once(
    first: dict[str, list[Any]], second: dict[str, list[Any]]
) -> None:
    def names(sweep: Any) -> list[str]:
        return [c.measurement_config_hash for c in expand(sweep=sweep).experiments]

    together = names([first, second])
    assert len(together) == len(set(together))
    assert together == list(dict.fromkeys(names([first]) + names([second])))


@pytest.mark.parametrize("study", [{"sweep": {"n": [1, 2]}}, {"sweep": {"n": [0]}}])
@pytest.mark.parametrize("enabled", [True, False])
def test_the_garbage_collector_is_left_as_it_was(study: dict[str, Any], enabled: bool) -> None:
    before = gc.isenabled()
    (gc.enable if enabled else gc.disable)()
    try:
        with contextlib.suppress(ConfigError):
            expand(**study)
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if before else gc.disable)()


def test_what_a_list_of_grids_shares_is_validated_once() -> None:
    """A grid or an entry more must cost a validation more, and not one of every section."""
    made: list[str] = []

    class Counting(ScriptedConfig):
        @model_validator(mode="after")
        def _count(self) -> Self:
            made.append(self.model_dump_json())
            return self

    plugins = Plugins()
    plugins.register(FakePlugin(backends=[replace(scripted_backend(), section=Counting)]))
    with use_plugins(plugins):
        for study in (
            {"sweep": [{"n": [n]} for n in range(1, 51)]},
            {"experiments": [{"n": n} for n in range(1, 51)]},
        ):
            made.clear()
            found = expand(**study)
            assert len(found.experiments) == 50
            assert len(made) <= 2
