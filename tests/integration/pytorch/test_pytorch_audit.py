"""Every upstream setting is mapped to a field, owned by the harness, or left out for a reason."""

from __future__ import annotations

import inspect
import re

from llem_core.config.experiment import ExperimentConfig
from llem_core.contracts import DecoderConfig
from llem_pytorch import audit
from llem_pytorch.config import PyTorchConfig
from transformers import GenerationConfig, PreTrainedModel

# Fields that only some releases of transformers have.
NOT_EVERYWHERE = {"constraints", "force_words_ids", "low_memory", "num_beam_groups"}


def upstream_loading() -> set[str]:
    function = PreTrainedModel.from_pretrained
    documented = set(re.findall(r"^ {12}(\w+) \(", function.__doc__ or "", re.MULTILINE))
    taken = set(re.findall(r'kwargs\.pop\(\s*"(\w+)"', inspect.getsource(function)))
    return documented | taken | set(inspect.signature(function).parameters)


def tables(kind: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for table in ("MAPPED", "HARNESS", "EXCLUDED"):
        entries: dict[str, str] = getattr(audit, f"{kind}_{table}")
        assert not set(entries) & set(found), "an entry stands in two tables"
        found.update(entries)
    return found


def test_every_generation_setting_is_accounted_for() -> None:
    upstream = set(GenerationConfig().to_dict()) | set(vars(GenerationConfig()))
    upstream = {name for name in upstream if not name.startswith("_") or name in TABLE}
    assert sorted(upstream - set(TABLE)) == [], "new upstream settings: map or exclude them"
    assert sorted(set(TABLE) - upstream - NOT_EVERYWHERE) == [], "upstream no longer has these"


def test_every_loading_argument_is_accounted_for() -> None:
    known = tables("LOADING")
    upstream = upstream_loading()
    assert sorted(upstream - set(known) - {"cls"}) == [], "new upstream arguments"
    assert sorted(set(known) - upstream) == [], "upstream no longer has these"


def test_every_mapped_setting_names_a_field_that_exists() -> None:
    for target in (*audit.GENERATION_MAPPED.values(), *audit.LOADING_MAPPED.values()):
        for path in target.split(", "):
            section, _, name = path.partition(".")
            if not name:
                assert section in ExperimentConfig.model_fields
                continue
            model = PyTorchConfig if section == "pytorch" else DecoderConfig
            prefix = name.removesuffix("*")
            assert any(field.startswith(prefix) for field in model.model_fields), path


def test_every_exclusion_has_a_reason() -> None:
    for kind in ("GENERATION", "LOADING"):
        assert all(len(reason) > 10 for reason in getattr(audit, f"{kind}_EXCLUDED").values())


TABLE = tables("GENERATION")
