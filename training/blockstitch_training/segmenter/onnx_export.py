"""Writes a trained segmenter as the server reads it: segmenter.onnx (word table in int8, the rest in float32), words.bin and
segmenter.json.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from .calibration import calibrate
from .crop_batches import load
from .network import Crops, SegmenterNetwork, WordTable
from .segmenter_checkpoint import load_network

#: Must equal FEATURE_VERSION of src/segment/unit-features.ts.
FEATURE_VERSION = 3
OPSET = 18
LEAST_HALVED = 512
#: UTF-16 units of a block at which the boundaries of each level alone count (segmenter.json, read by boundary-model.ts).
#: The coarsest lies beyond any document. Talk has no boundaries of level 4 in training, so the coarsest level alone would say nothing of it.
LEVEL_CHARACTERS = (400, 2000, 8000, 120000)


def quantized(rows: Tensor) -> tuple[Tensor, Tensor]:
    """int8 rows and a scale for each. [N, C] -> [N, C], [N, 1]"""
    scale = rows.abs().amax(1, keepdim=True).clamp(min=1e-8) / 127
    return torch.round(rows / scale).to(torch.int8), scale


class QuantizedTable(WordTable):
    """The word table with one int8 row and one scale per word."""

    def __init__(self, table: WordTable) -> None:
        nn.Module.__init__(self)
        rows, scale = quantized(table.embedding.weight.detach())
        self.register_buffer("rows", rows)
        self.register_buffer("scale", torch.cat([scale, table.weight.weight.detach()], 1))

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        scale = self.scale[rows]
        return self.rows[rows].float() * scale[..., :1], scale[..., 1:]


class QuantizedCues(nn.Module):
    def __init__(self, cues: nn.Embedding) -> None:
        super().__init__()
        rows, scale = quantized(cues.weight.detach())
        self.register_buffer("rows", rows)
        self.register_buffer("scale", scale)

    def forward(self, rows: Tensor) -> Tensor:
        return self.rows[rows].float() * self.scale[rows]


class ExportedSegmenter(nn.Module):
    """rows int32 [words], offsets int32 [units + 1], features float32 [units, F] -> levels float32 [units, 4]"""

    def __init__(self, network: SegmenterNetwork) -> None:
        super().__init__()
        network.table = QuantizedTable(network.table)
        network.cues = QuantizedCues(network.cues)
        self.network = network

    def forward(self, rows: Tensor, offsets: Tensor, features: Tensor) -> Tensor:
        units = torch.full((1,), 1 << 30, dtype=torch.int64)
        ends = offsets.long()
        crops = Crops(rows.long(), ends[:-1], ends[1:], None, features.unsqueeze(0), units)
        return self.network(crops)[0]


def export(checkpoint: Path, work: Path, out: Path) -> None:
    network = load_network(checkpoint)
    print(f"log-odds times {calibrate(network, load(work, 'dev')):.2f}")
    config = network.config
    model = ExportedSegmenter(network).eval()
    out.mkdir(parents=True, exist_ok=True)
    rows = torch.randint(0, config.rows, (300,), dtype=torch.int32)
    offsets = torch.arange(0, 301, 10, dtype=torch.int32)
    automatic = torch.export.Dim.AUTO
    program = torch.onnx.export(
        model,
        (rows, offsets, torch.randn(30, config.features)),
        input_names=["rows", "offsets", "features"],
        output_names=["levels"],
        dynamic_shapes={"rows": {0: automatic}, "offsets": {0: automatic}, "features": {0: automatic}},
        dynamo=True,
        opset_version=OPSET,
        verbose=False,
    )
    program.save(str(out / "segmenter.onnx"), external_data=False)
    halve_weights(out / "segmenter.onnx")
    shutil.copy(work / "words.bin", out / "words.bin")
    card = {
        "feature_version": FEATURE_VERSION,
        "context_units": config.context_units,
        "level_characters": list(LEVEL_CHARACTERS),
    }
    (out / "segmenter.json").write_text(json.dumps(card, indent=2) + "\n")


def halve_weights(path: Path) -> None:
    """Keeps large float32 weights as float16 in the file. The runtime widens them once, while it loads."""
    model = onnx.load(path)
    graph = model.graph
    casts = []
    for tensor in list(graph.initializer):
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < LEAST_HALVED or np.abs(values).max() > 6e4:
            continue
        graph.initializer.remove(tensor)
        graph.initializer.append(onnx.numpy_helper.from_array(values.astype(np.float16), f"{tensor.name}.half"))
        casts.append(onnx.helper.make_node("Cast", [f"{tensor.name}.half"], [tensor.name], to=onnx.TensorProto.FLOAT))
    nodes = list(graph.node)
    del graph.node[:]
    graph.node.extend(casts + nodes)
    onnx.save(model, path)
