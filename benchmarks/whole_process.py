"""One experiment as a whole process, against a bare script that loads and generates the same.

Baselines and energy are off, since they are waits that a user asks for; the warm-up is as many
batches in both. Run with ``uv run python benchmarks/whole_process.py [pairs]``.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from pairs import compare, compile_sources, heading, llem

WARM, REQUESTS, PROMPT_TOKENS, OUTPUT_TOKENS = 2, 24, 64, 128

BARE = f"""
import torch
from transformers import AutoConfig, AutoModelForCausalLM

torch.manual_seed(42)
config = AutoConfig.for_model(
    "llama", hidden_size=128, num_hidden_layers=4, num_attention_heads=4,
    num_key_value_heads=2, intermediate_size=352, vocab_size=512, tie_word_embeddings=True,
)
model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
prompts = [torch.randint(0, 255, (1, {PROMPT_TOKENS})) for _ in range({REQUESTS})]
with torch.inference_mode():
    for prompt in prompts[:1] * {WARM} + prompts:
        model.generate(
            inputs=prompt, attention_mask=torch.ones_like(prompt), do_sample=False,
            max_new_tokens={OUTPUT_TOKENS}, min_new_tokens={OUTPUT_TOKENS}, pad_token_id=0,
        )
"""


def main() -> None:
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    compile_sources()
    heading("wall seconds")
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "bare.py"
        script.write_text(BARE)
        settings = {
            "n": REQUESTS,
            "dataset.source": "synthetic",
            "max_input_tokens": PROMPT_TOKENS,
            "max_output_tokens": OUTPUT_TOKENS,
            "warmup.n_warmup": WARM,
            "warmup.convergence_detection": "false",
            "baseline.enabled": "false",
            "energy.sampler": "null",
        }
        ours = [llem(), "run", "--model", "shape:tiny-llama", "--precision", "fp32", "--quiet"]
        for path, value in settings.items():
            ours += ["--set", f"{path}={value}"]
        compare(
            "one experiment",
            [*ours, "--output", folder],
            [sys.executable, str(script)],
            "<= 1.10",
            pairs=pairs,
            directory=Path(folder),
        )


if __name__ == "__main__":
    main()
