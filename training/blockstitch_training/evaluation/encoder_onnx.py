"""Writes a sentence encoder in Hugging Face form as the server's `embedding` segmenter reads it (src/segment/onnx-encoder.ts).

The folder gets model.onnx, which gives the hidden states of every token, and the tokenizer's files. The comparison of segmenters needs
it; nothing else does.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import AutoModel

OPSET = 18


class HiddenStates(nn.Module):
    """input_ids, attention_mask int64 [texts, tokens] -> [texts, tokens, D]"""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state


def export_encoder(encoder: Path, out: Path) -> None:
    # Plain attention: its masks are tensors of the graph.
    model = HiddenStates(AutoModel.from_pretrained(encoder, attn_implementation="eager")).eval()
    ids = torch.ones(3, 7, dtype=torch.int64)
    mask = torch.ones(3, 7, dtype=torch.int64)
    mask[0, 5:] = 0
    axes = {0: torch.export.Dim.AUTO, 1: torch.export.Dim.AUTO}
    program = torch.onnx.export(
        model,
        (ids, mask),
        input_names=["input_ids", "attention_mask"],
        output_names=["last_hidden_state"],
        dynamic_shapes={"input_ids": axes, "attention_mask": axes},
        dynamo=True,
        opset_version=OPSET,
        verbose=False,
    )
    out.mkdir(parents=True, exist_ok=True)
    program.save(str(out / "model.onnx"), external_data=False)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(encoder / name, out / name)
