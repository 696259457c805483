"""What travels: our distributions, and what they need that the machine lacks."""

from __future__ import annotations

from gpu_session.build import OURS, missing, present

NEEDS = {
    "ours": ["other-ours==1", "Lacking_One>=2", "there"],
    "other-ours": ["nested; python_version >= '3.12'", "no; python_version < '3.12'"],
    "lacking-one": ["deep; extra == 'x'", "nested", "there>=3"],
    "nested": ["deeper"],
    "there": ["of-there"],
}


def test_needs_are_followed_except_into_what_is_there() -> None:
    found = missing(["ours", "other-ours"], {"there"}, NEEDS.get)
    assert found == ["deeper", "lacking-one", "nested"]


def test_the_lists_names_are_canonical_and_its_versions_those_that_are_known() -> None:
    there = present()
    assert there["torch"] == "2.11.0"
    assert there["transformers"] == "5.17.0"
    assert there["pluggy"] is None
    assert not [name for name in there if name != name.lower() or "_" in name]


def test_what_our_wheels_need_beyond_the_list_is_small() -> None:
    found = missing(OURS, present())
    assert "pydantic" in found
    assert not {"torch", "transformers", "pyarrow", "nvidia-ml-py"} & set(found)
