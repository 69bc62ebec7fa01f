"""The demo model as a checkpoint: makes a fresh model, takes over an earlier one's weights, and writes a model for the server."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import LlamaConfig, LlamaForCausalLM

from .demo_prompts import Prompts
from .demo_settings import Settings
from .demo_tokenizer import save_tokenizer


def make_model(settings: Settings, vocabulary: int) -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=settings.hidden, intermediate_size=settings.intermediate,
        num_hidden_layers=settings.layers, num_attention_heads=settings.heads, num_key_value_heads=settings.kv_heads,
        max_position_embeddings=4096, tie_word_embeddings=True, bos_token_id=0, eos_token_id=1, rms_norm_eps=1e-5,
    )  # fmt: skip
    return LlamaForCausalLM(config)


def warm_start(model: LlamaForCausalLM, tokenizer: Tokenizer, checkpoint: Path) -> None:
    """Takes over the weights of an exported checkpoint. Embeddings go by the token's text, and new tokens keep their random ones.

    Layers that the checkpoint lacks stand before its last one. They begin by passing on what they get.
    """
    earlier = LlamaForCausalLM.from_pretrained(checkpoint, dtype=torch.float32)
    weights = earlier.state_dict()
    known = Tokenizer.from_file(str(checkpoint / "tokenizer.json")).get_vocab()
    embeddings = model.get_input_embeddings().weight.detach().clone()
    embeddings *= weights["model.embed_tokens.weight"].std() / embeddings.std()
    for text, token in tokenizer.get_vocab().items():
        if text in known:
            embeddings[token] = weights["model.embed_tokens.weight"][known[text]]
    weights["model.embed_tokens.weight"] = weights["lm_head.weight"] = embeddings
    had, has = earlier.config.num_hidden_layers, model.config.num_hidden_layers
    fresh = model.state_dict()
    for name in [name for name in fresh if name.startswith("model.layers.")]:
        layer, part = int(name.split(".")[2]), name.split(".", 3)[3]
        if had - 1 <= layer < has - 1:
            silent = part in ("self_attn.o_proj.weight", "mlp.down_proj.weight")
            fresh[name] = torch.zeros_like(fresh[name]) if silent else fresh[name]
        else:
            fresh[name] = weights[f"model.layers.{layer if layer < had - 1 else had - 1}.{part}"]
    model.load_state_dict({name: fresh[name] if name.startswith("model.layers.") else weights[name] for name in fresh})


def export(model: LlamaForCausalLM, prompts: Prompts, directory: Path) -> None:
    """Writes the checkpoint in float16 with the `block_attention` section that the server reads."""
    directory.mkdir(parents=True, exist_ok=True)
    LlamaForCausalLM.from_pretrained(None, config=model.config, state_dict=model.state_dict()).half().save_pretrained(directory)
    config = json.loads((directory / "config.json").read_text())
    config["block_attention"] = {"mode": "block", "sink_token_ids": [prompts.bos]}
    (directory / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    save_tokenizer(prompts.tokenizer, directory)
