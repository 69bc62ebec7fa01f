"""Decodes a GGUF file to a Hugging Face directory: float32 weights, tokenizer and chat template. A training begins with such a directory."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer


def decode_gguf(file: Path, out: Path, dtype: torch.dtype = torch.float32) -> None:
    """
    @param dtype of the stored weights; float32 holds every GGUF type without loss
    @raise ValueError, OSError of transformers for a file that it does not read
    """
    model = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=dtype)
    # transformers refuses to save what it takes for a quantized model; the weights are decoded here.
    config = AutoConfig.from_pretrained(file.parent, gguf_file=file.name)
    config.dtype = dtype
    plain = AutoModelForCausalLM.from_config(config, dtype=dtype)
    plain.load_state_dict(model.state_dict())
    plain.save_pretrained(out)
    AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name).save_pretrained(out)
