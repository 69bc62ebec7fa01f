"""Low-rank students: LoRA on all linear layers of the decoder, and the rows of the learned sink tokens. The rest is frozen.

    W' = W + (alpha / r) B A,   A [r, in], B [out, r]          (arXiv 2106.09685, section 4.1);   alpha = 2 r

B starts at 0, so that the student begins as its base. An adapter is a few megabytes, in the form of PEFT: adapter_config.json,
adapter_model.safetensors (float16) and block_attention.json with the attention's mode and the sinks. The server merges it at import
(`--adapter`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict, load_peft_weights, set_peft_model_state_dict
from safetensors.torch import save_file
from transformers import PreTrainedModel

from .sink_tokens import NO_EDGES, Edges, attention_section

LINEAR_LAYERS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
EMBEDDING = "embed_tokens"
WEIGHTS, CONFIG, ATTENTION = "adapter_model.safetensors", "adapter_config.json", "block_attention.json"


def is_adapter(directory: str | Path) -> bool:
    return (Path(directory) / CONFIG).is_file()


def adapter_sinks(directory: str | Path) -> tuple[list[int], Edges]:
    """Sink ids of an adapter, the base's own among them, at the front and at the edges of blocks; none where it names none."""
    file = Path(directory) / ATTENTION
    section = json.loads(file.read_text()) if file.is_file() else {}
    return [int(token) for token in section.get("sink_token_ids", [])], Edges.of(section)


def add_low_rank(model: PreTrainedModel, rank: int, trained_tokens: Sequence[int], start: str | Path = "") -> PeftModel:
    """
    Wraps a model. From then on only the adapter has gradients.

    @param trained_tokens ids whose embedding rows are trained; they must be in the embedding already
    @param start          an adapter of the same rank to begin with; trained rows that it does not have stay as they are
    @raise ValueError where the start has another rank or other layers
    """
    config = LoraConfig(
        r=rank, lora_alpha=2 * rank, target_modules=LINEAR_LAYERS, bias="none", task_type="CAUSAL_LM",
        trainable_token_indices={EMBEDDING: list(trained_tokens)} if trained_tokens else None,
    )  # fmt: skip
    wrapped = get_peft_model(model, config)
    if start:
        given = json.loads((Path(start) / CONFIG).read_text())["r"]
        if given != rank:
            raise ValueError(f"the adapter {start} has rank {given}, not {rank}: give --lora-rank {given}")
        weights = load_peft_weights(str(start), device="cpu")
        state = get_peft_model_state_dict(wrapped, save_embedding_layers=False)
        set_peft_model_state_dict(wrapped, state | {name: tensor.float() for name, tensor in weights.items() if name in state})
    return wrapped


def write_adapter(student: PeftModel, sink_ids: Sequence[int], mode: str, base: str | Path, directory: Path, edges: Edges = NO_EDGES) -> None:
    """@param base what the adapter goes onto, by name; it is a note for readers"""
    directory.mkdir(parents=True, exist_ok=True)
    state = get_peft_model_state_dict(student, save_embedding_layers=False)
    save_file({name: tensor.detach().cpu().half().contiguous() for name, tensor in state.items()}, directory / WEIGHTS)
    config = student.peft_config["default"].to_dict()
    config |= {"base_model_name_or_path": Path(base).name, "inference_mode": True}
    config["target_modules"] = sorted(config["target_modules"])
    (directory / CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True, default=str) + "\n")
    (directory / ATTENTION).write_text(json.dumps(attention_section(mode, sink_ids, edges), indent=2) + "\n")


def merged(base: PreTrainedModel, rank: int, trained_tokens: Sequence[int], directory: Path) -> PreTrainedModel:
    """The base with the adapter in it: what the server makes of both. `base` has the rows of the trained tokens already."""
    with torch.no_grad():
        return add_low_rank(base, rank, trained_tokens, directory).merge_and_unload()
