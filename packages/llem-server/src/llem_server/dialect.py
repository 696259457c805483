"""What kind of server it is, which models it serves, and what can be asked of it."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

from llem_core.errors import BackendError

from llem_server.address import Address

_TIMEOUT_S = 20.0
_MOST_BYTES = 16 * 1024**2
_COUNTERS = {
    "vllm:generation_tokens_total": "output_tokens",
    "sglang:generation_tokens_total": "output_tokens",
    "llamacpp:tokens_predicted_total": "output_tokens",
    "tgi_request_generated_tokens_sum": "output_tokens",
    "vllm:prompt_tokens_total": "input_tokens",
    "sglang:prompt_tokens_total": "input_tokens",
    "llamacpp:prompt_tokens_total": "input_tokens",
    "vllm:num_preemptions_total": "preemptions",
    "vllm:prefix_cache_hits_total": "prefix_cache_hit_tokens",
    "vllm:prefix_cache_queries_total": "prefix_cache_queried_tokens",
}


@dataclass(frozen=True)
class Dialect:
    """What a kind of server has beside the OpenAI API.

    Attributes:
        name: ``vllm``, ``sglang``, ``llama.cpp``, ``tgi``, or ``unknown``.
        token_prompts: whether it takes a prompt as token ids.
        exact_output: fields of the body that make an answer exactly ``max_tokens`` long; ``None``
            where there are none.
        counted_chunks: whether each chunk can tell how many tokens there are so far
            (``stream_options.continuous_usage_stats`` of vLLM and SGLang).
    """

    name: str
    token_prompts: bool
    exact_output: dict[str, Any] | None
    counted_chunks: bool = False


_DIALECTS = {
    "vllm": Dialect("vllm", True, {"ignore_eos": True}, counted_chunks=True),
    "sglang": Dialect("sglang", True, {"ignore_eos": True}, counted_chunks=True),
    "llamacpp": Dialect("llama.cpp", True, {"ignore_eos": True}),
    "tgi": Dialect("tgi", False, None),
}
_UNKNOWN = Dialect("unknown", False, None)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class Control:
    """Asks a server what is not measured: readiness, models, tokens, counters.

    Args:
        address: of the server.
        context: for TLS; the system's own trust if not given.
    """

    def __init__(self, address: Address, context: ssl.SSLContext | None = None) -> None:
        self.address = address
        handlers: list[Any] = [_NoRedirect(), urllib.request.ProxyHandler({})]
        if address.secure:
            handlers.append(urllib.request.HTTPSHandler(context=context))
        self._opener = urllib.request.build_opener(*handlers)

    def ask(
        self, path: str, body: dict[str, Any] | None = None, timeout_s: float = _TIMEOUT_S
    ) -> tuple[int, bytes]:
        """Status and body of one request; any status is an answer.

        Raises:
            OSError: there is no answer.
        """
        data = None if body is None else json.dumps(body).encode()
        headers = {**self.address.headers, "Content-Type": "application/json"}
        request = urllib.request.Request(self.address.url + path, data, headers)  # noqa: S310
        try:
            with self._opener.open(request, timeout=timeout_s) as answer:
                return int(answer.status), answer.read(_MOST_BYTES)
        except urllib.error.HTTPError as error:
            return error.code, error.read(_MOST_BYTES)
        except urllib.error.URLError as error:
            raise (
                error.reason if isinstance(error.reason, OSError) else OSError(str(error.reason))
            ) from error

    def is_ready(self, path: str) -> bool:
        """Whether the path answers 200."""
        try:
            return self.ask(path, timeout_s=2.0)[0] == 200
        except (OSError, ValueError):
            return False

    def models(self) -> list[dict[str, Any]]:
        """The models that it serves.

        Raises:
            BackendError: it does not answer, or is not what it should be.
        """
        where = f"{self.address.url}/v1/models"
        try:
            status, body = self.ask("/v1/models")
        except ssl.SSLError as error:
            told = getattr(error, "verify_message", "") or str(error)
            raise BackendError(f"{self.address.url}: its certificate is refused: {told}") from error
        except (OSError, ValueError) as error:
            raise BackendError(
                f"{self.address.url} does not answer ({error}); is the server running, and is "
                "server.base_url its address?"
            ) from error
        if status in {401, 403}:
            raise BackendError(
                f"{where} refuses the key (status {status}); name the variable that holds it in "
                "server.api_key_env"
            )
        if 300 <= status < 400:
            raise BackendError(f"{where} redirects elsewhere, which is not followed")
        try:
            data = json.loads(body)["data"] if status == 200 else None
            models = [dict(model) for model in data or ()]
        except (ValueError, KeyError, TypeError, RecursionError):
            data, models = None, []
        if data is None:
            raise BackendError(
                f"{where} answers with status {status} and no list of models: it does not speak "
                "the OpenAI API, or server.base_url has a path too much"
            )
        return models

    def dialect(self, models: list[dict[str, Any]]) -> Dialect:
        """What kind of server it is, by who owns its models, or by an endpoint of its own."""
        owners = {str(model.get("owned_by", "")).lower() for model in models}
        for owner, dialect in _DIALECTS.items():
            if owner in owners:
                return dialect
        try:
            if self.ask("/info", timeout_s=5.0)[0] == 200:
                return _DIALECTS["tgi"]
        except (OSError, ValueError):
            pass
        return _UNKNOWN

    def tokens(self, dialect: Dialect, model: str, text: str) -> list[int] | None:
        """Token ids of a text; ``None`` where the server has no way to ask."""
        body: dict[str, Any] = {"model": model, "prompt": text, "content": text, "inputs": text}
        if dialect.name == "vllm":
            body = {"model": model, "prompt": text}
        try:
            status, answer = self.ask("/tokenize", body)
            found = json.loads(answer) if status == 200 else None
        except (OSError, ValueError, RecursionError):
            return None
        if isinstance(found, dict):
            found = found.get("tokens")
        if not isinstance(found, list):
            return None
        ids = [token.get("id") if isinstance(token, dict) else token for token in found]
        known = [token for token in ids if isinstance(token, int)]
        return known if len(known) == len(ids) else None

    def counters(self, path: str) -> dict[str, float]:
        """Prometheus counters that are known, summed over their labels."""
        try:
            status, body = self.ask(path)
        except (OSError, ValueError):
            return {}
        found: dict[str, float] = {}
        for line in body.decode("utf-8", "replace").splitlines() if status == 200 else ():
            name, _, value = line.rpartition(" ")
            known = _COUNTERS.get(name.split("{", 1)[0].strip())
            if known is not None:
                try:
                    found[known] = found.get(known, 0.0) + float(value)
                except ValueError:
                    continue
        return found
