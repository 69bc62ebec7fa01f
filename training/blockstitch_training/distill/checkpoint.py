"""Loads teachers and students, and writes a student as a Hugging Face checkpoint that the server imports."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from .sink_tokens import NO_EDGES, Edges, attention_section

FAMILIES = ("llama", "mistral", "qwen2", "qwen3")  # those that the server imports


def load_model(directory: str | Path, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    """@raise ValueError for a family that the server does not import"""
    config = AutoConfig.from_pretrained(directory)
    if config.model_type not in FAMILIES:
        raise ValueError(f"{directory} is a {config.model_type} checkpoint; the server imports {', '.join(FAMILIES)}")
    return AutoModelForCausalLM.from_pretrained(directory, dtype=dtype, attn_implementation="sdpa")


def load_tokenizer(directory: str | Path) -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(directory)


def stored_dtype(directory: str | Path) -> torch.dtype:
    config = json.loads((Path(directory) / "config.json").read_text())
    return getattr(torch, str(config.get("dtype") or config.get("torch_dtype") or "float32").removeprefix("torch."))


def export_checkpoint(
    model: PreTrainedModel,
    weights: dict[str, torch.Tensor],
    tokenizer: PreTrainedTokenizerBase,
    sink_ids: Sequence[int],
    teacher: str | Path,
    directory: Path,
    mode: str = "block",
    edges: Edges = NO_EDGES,
) -> None:
    """
    Writes config.json with its `block_attention` section, weights in the teacher's stored type, tokenizer and chat template.

    @param weights the whole state, gathered where it is sharded
    @param mode    attention of requests that name none: "block" or "full"
    """
    directory.mkdir(parents=True, exist_ok=True)
    dtype = stored_dtype(teacher)
    config = type(model.config).from_dict(model.config.to_dict())
    config.block_attention = attention_section(mode, sink_ids, edges)
    config.dtype = dtype
    shell = AutoModelForCausalLM.from_config(config)
    shell.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
    shell.to(dtype).save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    generation = Path(teacher) / "generation_config.json"
    if generation.exists():
        shutil.copy(generation, directory / "generation_config.json")
