"""Tiny random checkpoints with the demo model's tokenizer: large weights, so that attention is far from uniform."""

from pathlib import Path

import torch
from make_checkpoints import default_rope, randomize
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config

ROOT = Path(__file__).parents[2]
torch.set_num_threads(1)  # shared machines: more threads would wait for each other

SHAPE = dict(
    hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=32,
    max_position_embeddings=2048, bos_token_id=0, eos_token_id=1, pad_token_id=None, rope_parameters=default_rope(),
)  # fmt: skip
FAMILIES = {"llama": (LlamaConfig, {}), "mistral": (MistralConfig, {"sliding_window": 48}), "qwen2": (Qwen2Config, {}), "qwen3": (Qwen3Config, {})}


def write_checkpoint(directory: Path, family: str = "llama", tied: bool = True) -> Path:
    tokenizer = AutoTokenizer.from_pretrained(ROOT / "models" / "demo-teacher")
    made, more = FAMILIES[family]
    shape = {key: value for key, value in SHAPE.items() if family != "qwen2" or key != "head_dim"}
    if family == "qwen2":
        shape |= {"num_attention_heads": 2, "num_key_value_heads": 1}
    vocabulary = len(tokenizer) - sum(name.startswith("<|sink_") for name in tokenizer.get_added_vocab())
    model = AutoModelForCausalLM.from_config(made(**shape, **more, vocab_size=max(vocabulary, len(tokenizer)), tie_word_embeddings=tied))
    randomize(model, seed=7)
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory
