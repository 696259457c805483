from __future__ import annotations

from typing import Any

import pytest
from llem_server.config import ServerConfig
from pydantic import ValidationError


@pytest.mark.parametrize("section", [
    {"command": ["serve", "--api-key", "s3cr3t"]},
    {"command": ["serve", "--api-key=s3cr3t"]},
    {"command": ["serve", "--hf_token", "s3cr3t"]},
    {"command": ["serve"], "environment": {"VLLM_API_KEY": "s3cr3t"}},
])  # fmt: skip
def test_a_key_is_not_taken_where_it_would_be_shown(section: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="name it in api_key_env"):
        ServerConfig.model_validate(section)


@pytest.mark.parametrize("word", ["--max-num-batched-tokens=64", "--tokenizer", "--api-key-file"])
def test_words_that_only_look_like_one_are_taken(word: str) -> None:
    assert ServerConfig.model_validate({"command": ["serve", word]}).command == ("serve", word)
