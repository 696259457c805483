"""What kind of model a ``config.json`` describes, and whether it is one that generates text.

Read without transformers, so that a run is refused before anything is loaded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

RUNS = "The backends here run decoder-only models, those that transformers loads as causal"

# transformers' names of architectures that read a text whole and fill in masked tokens. Those
# that it can also load as a decoder say so by is_decoder.
_ENCODERS = frozenset(
    {
        *("albert", "bert", "big_bird", "camembert", "convbert", "data2vec-text"),
        *("deberta", "deberta-v2", "distilbert", "electra", "ernie", "esm", "eurobert"),
        *("flaubert", "fnet", "funnel", "ibert", "jina_embeddings_v3", "layoutlm"),
        *("longformer", "luke", "megatron-bert", "mobilebert", "modernbert", "mpnet"),
        *("mra", "nomic_bert", "nystromformer", "perceiver", "rembert", "roberta"),
        *("roberta-prelayernorm", "roc_bert", "roformer", "squeezebert", "tapas"),
        *("xlm-roberta", "xlm-roberta-xl", "xmod", "yoso"),
    }
)
_ENCODER_DECODERS = frozenset(
    {
        *("bart", "bigbird_pegasus", "blenderbot", "blenderbot-small", "encoder-decoder"),
        *("fsmt", "led", "longt5", "m2m_100", "marian", "mbart", "mt5", "mvp", "nllb-moe"),
        *("pegasus", "pegasus_x", "plbart", "prophetnet", "seamless_m4t"),
        *("seamless_m4t_v2", "speech_to_text", "switch_transformers", "t5", "t5gemma"),
        *("t5gemma2", "umt5", "vision-encoder-decoder", "whisper"),
    }
)
_ENCODER_HEADS = (
    *("ForMaskedLM", "ForSequenceClassification", "ForTokenClassification"),
    *("ForQuestionAnswering", "ForMultipleChoice"),
)


def why_not_causal(name: str, fields: Mapping[str, Any]) -> str | None:
    """Why a model does not generate a text token by token from what came before it.

    Args:
        name: the model, for the message.
        fields: of its ``config.json``.

    Returns:
        What it is, if it is an encoder or an encoder-decoder; ``None`` for all others.
    """
    kind = fields.get("model_type")
    if fields.get("is_decoder"):
        return None
    if fields.get("is_encoder_decoder") or kind in _ENCODER_DECODERS:
        return (
            f"{name} is an encoder-decoder ({_described(fields)}): it turns one text into another. "
            f"{RUNS}; its decoder alone would be another model."
        )
    heads = [str(head) for head in fields.get("architectures") or ()]
    if kind in _ENCODERS or any(head.endswith(_ENCODER_HEADS) for head in heads):
        return (
            f"{name} is an encoder ({_described(fields)}): it reads a text whole and generates "
            f"none. {RUNS}."
        )
    return None


def needs_own_code(fields: Mapping[str, Any]) -> bool:
    """Whether a model's classes come with the checkpoint, transformers having none for it."""
    return bool(fields.get("auto_map")) and not _in_transformers(str(fields.get("model_type")))


def untrusted_code(name: str, backend: str) -> str:
    """What to do about a model that needs code of its own.

    Args:
        name: the model, for the message.
        backend: whose section has ``trust_remote_code``.
    """
    return (
        f"{name} comes with Python code of its own, which is not run unasked; read that code, and "
        f"set {backend}.trust_remote_code: true if you trust it."
    )


def pickled_only(folder: Path) -> bool:
    """Whether a checkpoint's weights are pickled and there is no safetensors file beside them."""
    pickled = any(folder.glob("*.bin")) or any(folder.glob("*.pt")) or any(folder.glob("*.pth"))
    return pickled and not any(folder.glob("*.safetensors"))


def dropped_quantisation(fields: Mapping[str, Any]) -> Iterator[str]:
    """A remark on random weights of a checkpoint that is quantised."""
    settings = fields.get("quantization_config")
    if settings:
        method = settings.get("quant_method") if isinstance(settings, Mapping) else None
        yield (
            f"The checkpoint is quantised ({method or 'by a method of its own'}), and load_format: "
            "dummy makes weights that are not: memory, speed and energy are those of the plain "
            "model."
        )


def _described(fields: Mapping[str, Any]) -> str:
    heads = fields.get("architectures")
    return str(heads[0] if isinstance(heads, list) and heads else fields.get("model_type"))


def _in_transformers(model_type: str) -> bool:
    spec = find_spec("transformers")
    if spec is None or spec.origin is None:
        return False
    models = Path(spec.origin).parent / "models"
    name = model_type.replace("-", "_")
    # Some architectures share the folder of their family: gemma3_text lies in gemma3.
    return (models / name).is_dir() or (models / name.rpartition("_")[0] / "__init__.py").is_file()
