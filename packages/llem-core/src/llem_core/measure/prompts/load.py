"""Turns ``dataset`` into prompts; every mistake in it is found before anything is loaded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Any

from llem_core.config.dataset import BUNDLED, HUB_PREFIX, INLINE, SYNTHETIC
from llem_core.config.experiment import ExperimentConfig
from llem_core.config.load import read_trace
from llem_core.contracts.workload import Prompt
from llem_core.errors import ConfigError
from llem_core.files import user_path
from llem_core.text import joined_surrogates


def bundled_prompts() -> list[str]:
    """All bundled prompts; any first part of them has a spread of kinds and lengths."""
    text = (
        files("llem_core.measure.prompts")
        .joinpath("data/prompts.jsonl")
        .read_text(encoding="utf-8")
    )
    return [json.loads(line)["prompt"] for line in text.splitlines() if line.strip()]


_LONGEST_LINE = 16 * 1024**2


def load_prompts(config: ExperimentConfig) -> list[Prompt]:
    """The first ``n`` prompts of the experiment's data set.

    Raises:
        ConfigError: the data set does not exist, has a line that cannot be used, or has
            fewer than ``n`` prompts.
    """
    if config.load.trace is not None:
        return _trace(config, config.load.trace)
    source = config.dataset.source
    if source == SYNTHETIC:
        return _synthetic(config)
    if source == BUNDLED:
        items = [_Item(text, None) for text in bundled_prompts()]
    elif source == INLINE:
        items = [_Item(text, None) for text in config.dataset.prompts or ()]
    elif source.startswith(HUB_PREFIX):
        from llem_core.measure.prompts.hub import hub_prompts  # brings the network's modules

        items = [_Item(text, None) for text in hub_prompts(config.dataset, config.n)]
    else:
        items = list(islice(_read_jsonl(user_path(source)), config.n))
    if len(items) < config.n:
        raise TooFewPromptsError(config, len(items))
    return [
        Prompt(index, item.text, item.limit(config.max_output_tokens))
        for index, item in enumerate(items[: config.n])
    ]


class TooFewPromptsError(ConfigError):
    """A data set with fewer prompts than are asked of it.

    Attributes:
        n_prompts: how many it has.
    """

    def __init__(self, config: ExperimentConfig, n_prompts: int) -> None:
        self.n_prompts = n_prompts
        super().__init__(
            f"n is {config.n}, but the data set {config.dataset.source!r} has {n_prompts} prompts; "
            f"set n to {n_prompts} at the most, or choose another data set."
        )


def count_prompts(config: ExperimentConfig) -> int:
    """How many prompts ``load_prompts`` would give; synthetic ones are not made for it.

    Raises:
        ConfigError: as ``load_prompts``.
    """
    if config.dataset.source == SYNTHETIC and config.load.trace is None:
        synthetic_lengths(config)
        return config.n
    return len(load_prompts(config))


def fingerprint(prompts: list[Prompt]) -> str:
    """SHA-256 over the prompts and their limits, as hexadecimal digits."""
    digest = hashlib.sha256()
    for prompt in prompts:
        fields = [prompt.text, prompt.synthetic_tokens, prompt.max_new_tokens, prompt.exact_output]
        digest.update(json.dumps(fields).encode())
        digest.update(b"\n")
    return digest.hexdigest()


class _Item:
    """A prompt's text and its own output limit."""

    def __init__(self, text: str, max_new_tokens: int | None) -> None:
        self.text = text
        self.max_new_tokens = max_new_tokens

    def limit(self, most: int) -> int:
        return most if self.max_new_tokens is None else min(most, self.max_new_tokens)


def synthetic_lengths(config: ExperimentConfig) -> tuple[int, int]:
    """Tokens of each synthetic prompt and of each output.

    Raises:
        ConfigError: the data set asks for more than the experiment allows.
    """
    input_tokens = config.dataset.input_tokens or config.max_input_tokens
    output_tokens = config.dataset.output_tokens or config.max_output_tokens
    for name, tokens, most in (
        ("input_tokens", input_tokens, config.max_input_tokens),
        ("output_tokens", output_tokens, config.max_output_tokens),
    ):
        if tokens > most:
            raise ConfigError(
                f"dataset.{name} is {tokens}, above max_{name} ({most}); raise max_{name}."
            )
    return input_tokens, output_tokens


def _synthetic(config: ExperimentConfig) -> list[Prompt]:
    input_tokens, output_tokens = synthetic_lengths(config)
    return [
        Prompt(index, None, output_tokens, synthetic_tokens=input_tokens, exact_output=True)
        for index in range(config.n)
    ]


def _trace(config: ExperimentConfig, source: str) -> list[Prompt]:
    """A prompt for each request of a trace; it is the data set."""
    prompts = []
    for index, request in enumerate(read_trace(source).requests):
        for name, tokens, most in (
            ("input_tokens", request.input_tokens, config.max_input_tokens),
            ("output_tokens", request.output_tokens, config.max_output_tokens),
        ):
            if tokens is not None and tokens > most:
                raise ConfigError(
                    f"load.trace: {name} of request {index + 1} is {tokens}, above max_{name} "
                    f"({most}); raise max_{name}."
                )
        prompts.append(
            Prompt(
                index,
                request.prompt,
                request.output_tokens or config.max_output_tokens,
                synthetic_tokens=request.input_tokens,
                exact_output=request.output_tokens is not None,
            )
        )
    return prompts


def _read_jsonl(path: Path) -> Iterator[_Item]:
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(_LONGEST_LINE + 1):
                number += 1
                if len(line) > _LONGEST_LINE:
                    raise ConfigError(f"{path}, line {number}: it is longer than 16 MiB.")
                if line.strip():
                    yield _parse(line, f"{path}, line {number}")
    except FileNotFoundError as error:
        raise ConfigError(
            f"dataset: there is no file {path}; give the path of a JSONL file, `bundled`, "
            "`synthetic` or `hf:<repo>`."
        ) from error
    except OSError as error:
        raise ConfigError(f"dataset: {path} cannot be read: {error.strerror}.") from error


def _parse(line: bytes, where: str) -> _Item:
    try:
        value: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{where}: it is not JSON ({error}); one JSON object a line.") from error
    if not isinstance(value, dict):
        raise ConfigError(f'{where}: it is not an object; write {{"prompt": "…"}}.')
    text = value.get("prompt")
    if not isinstance(text, str) or not text:
        raise ConfigError(f'{where}: "prompt" must be a text that is not empty.')
    try:
        text = joined_surrogates(text)
    except UnicodeError as error:
        raise ConfigError(
            f'{where}: "prompt" has one half of a surrogate pair alone, which is no text.'
        ) from error
    limit = value.get("max_new_tokens")
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
        raise ConfigError(f'{where}: "max_new_tokens" must be a whole number of 1 or more.')
    return _Item(text, limit)
