"""Writes a trained segmenter as the server reads it: segmenter.onnx (word tables in int8, large matrices in float16), words.bin and
segmenter.json.

It may be several networks over one word table. Then their log-odds count equally, and the word table is kept and read once.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from .calibration import calibrate
from .crop_batches import load
from .network import Crops, SegmenterNetwork, WordTable, unit_sums
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


class QuantizedTable(nn.Module):
    """The word table with one int8 row and one scale per word."""

    def __init__(self, table: WordTable) -> None:
        super().__init__()
        rows, scale = quantized(table.embedding.weight.detach())
        self.register_buffer("rows", rows)
        self.register_buffer("scale", torch.cat([scale, table.weight.weight.detach()], 1))

    def means(self, rows: Tensor, starts: Tensor, ends: Tensor, owners: Tensor | None) -> Tensor:
        """As WordTable's. Scale and weight of a word are one factor, so its row is multiplied once."""
        scale, weights = self.scale[rows].split(1, -1)
        weights = torch.exp(weights.clamp(-8, 4))
        content = unit_sums(weights, starts, ends, owners).clamp(min=1e-4)
        return torch.cat([unit_sums(self.rows[rows].float() * (scale * weights), starts, ends, owners) / content, content], -1)


class QuantizedCues(nn.Module):
    def __init__(self, cues: nn.Embedding) -> None:
        super().__init__()
        rows, scale = quantized(cues.weight.detach())
        self.register_buffer("rows", rows)
        self.register_buffer("scale", scale)

    def forward(self, rows: Tensor) -> Tensor:
        return self.rows[rows].float() * self.scale[rows]


class ExportedSegmenter(nn.Module):
    """rows int32 [words], offsets int32 [units + 1], features float32 [units, F] -> levels, talk_levels: float32 [units, 5]

    `levels` is the mean of the networks' log-odds, `talk_levels` has those of the first one. Of a level that one does not know, the
    others alone tell.
    """

    def __init__(self, networks: Sequence[SegmenterNetwork]) -> None:
        super().__init__()
        self.table = QuantizedTable(networks[0].table)
        for network in networks:
            network.cues = QuantizedCues(network.cues)
            del network.table
        self.networks = nn.ModuleList(networks)

    def forward(self, rows: Tensor, offsets: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        units = torch.full((1,), 1 << 30, dtype=torch.int64)
        rows, ends = rows.long(), offsets.long()
        topics = self.table.means(rows, ends[:-1], ends[1:], None).unsqueeze(0)
        crops = Crops(rows, ends[:-1], ends[1:], None, features.unsqueeze(0), units, topics=topics)
        logits = [each(crops)[0] for each in self.networks]
        return mean_levels(logits), logits[0].clone()


def mean_levels(logits: Sequence[Tensor]) -> Tensor:
    """Means of log-odds by level, over those that know the level. [units, levels of each] -> [units, most levels]"""
    counts = [each.shape[1] for each in logits]
    shared = min(counts)
    mean = sum(each[:, :shared] for each in logits) / len(logits)
    if max(counts) == shared:
        return mean
    return torch.cat([mean, mean_levels([each[:, shared:] for each in logits if each.shape[1] > shared])], 1)


def export(checkpoints: Sequence[Path], work: Path, out: Path, calibrated: bool = False) -> None:
    """calibrated: the log-odds stay as they are.

    @raises ValueError where the checkpoints have different word tables
    """
    networks = [load_network(each) for each in checkpoints]
    tables = [each.table.state_dict() for each in networks]
    if any(not torch.equal(each[name], tables[0][name]) for each in tables for name in tables[0]):
        raise ValueError("checkpoints of different word tables can't be exported together")
    if not calibrated:
        held_out = load(work, "dev")
        for checkpoint, network in zip(checkpoints, networks, strict=True):
            print(f"{checkpoint}: log-odds times {calibrate(network, held_out):.2f}")
    write(networks, work / "words.bin", out)


def write(networks: Sequence[SegmenterNetwork], words: Path, out: Path) -> None:
    """Writes the files of networks over one word table, the one for talk first. The networks can't be used any more."""
    config = networks[0].config
    features = max(each.config.features for each in networks)
    context = max(each.config.context_units for each in networks)
    model = ExportedSegmenter(networks).eval()
    out.mkdir(parents=True, exist_ok=True)
    rows = torch.randint(0, config.rows, (300,), dtype=torch.int32)
    offsets = torch.arange(0, 301, 10, dtype=torch.int32)
    automatic = torch.export.Dim.AUTO
    program = torch.onnx.export(
        model,
        (rows, offsets, torch.randn(30, features)),
        input_names=["rows", "offsets", "features"],
        output_names=["levels", "talk_levels"],
        dynamic_shapes={"rows": {0: automatic}, "offsets": {0: automatic}, "features": {0: automatic}},
        dynamo=True,
        opset_version=OPSET,
        verbose=False,
    )
    program.save(str(out / "segmenter.onnx"), external_data=False)
    shorten(out / "segmenter.onnx")
    shutil.copy(words, out / "words.bin")
    card = {
        "feature_version": FEATURE_VERSION,
        "context_units": context,
        "level_characters": list(LEVEL_CHARACTERS),
    }
    (out / "segmenter.json").write_text(json.dumps(card, indent=2) + "\n")


def shorten(path: Path) -> None:
    """Keeps large float32 weights as float16 in the file: the runtime widens them once, while it loads. Leaves out what the exporter tells of
    its own work, one megabyte of twelve. Shapes of values stay: the runtime takes 0.2 s to find out those of two networks."""
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
    for each in (model, graph, *graph.node, *graph.input, *graph.output):
        del each.metadata_props[:]
        each.doc_string = ""
    onnx.save(model, path)
