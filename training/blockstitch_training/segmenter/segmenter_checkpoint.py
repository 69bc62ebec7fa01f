"""Segmenter networks as checkpoints: a fresh one over a word table, one that takes over earlier weights, saving and loading."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

from .network import LEVELS, NetworkConfig, SegmenterNetwork
from .sentence_teacher import principal_axes

#: Log-odds by which a level that the checkpoint did not know is rarer than the one below.
RARER = 3.0


def new_network(work: Path, features: int, config: NetworkConfig | None = None) -> SegmenterNetwork:
    """A network over the teacher's word table, which is kept as it is. Cues start from the table's largest variances."""
    saved = torch.load(work / "table.pt")
    base = config or NetworkConfig(rows=0, features=0)
    rows, size = saved["table"]["embedding.weight"].shape
    network = SegmenterNetwork(replace(base, rows=rows, word_size=size, features=features))
    network.table.load_state_dict(saved["table"])
    network.topic.load_state_dict(saved["topic"])
    with torch.no_grad():
        vectors = network.table.embedding.weight
        _, axes = principal_axes(vectors[::4].numpy(), network.config.cue_size)
        start = vectors @ torch.from_numpy(np.ascontiguousarray(axes))
        network.cues.weight.copy_(start / start.std() * 0.2)
    network.table.requires_grad_(False)
    return network


def go_on_from(network: SegmenterNetwork, checkpoint: Path, new_table: bool = False) -> None:
    """Takes over the weights of a checkpoint. It may have seen fewer features; the others then count nothing at first. It may know fewer
    levels; the greater ones then begin as its greatest, but rarer.

    new_table: keeps the network's own word table and topic projection, where table_distillation.py has drawn them since.
    """
    saved = torch.load(checkpoint)
    weights, c = saved["weights"], network.config
    if new_table:
        own = network.state_dict()
        weights.update({name: own[name] for name in own if name.startswith(("table.", "topic."))})
    added = c.features - saved["config"]["features"]
    if added:
        inlet = weights["inlet.weight"]
        behind = 2 * len(c.scales)
        weights["inlet.weight"] = torch.cat([inlet[:, :-behind], inlet.new_zeros(len(inlet), added), inlet[:, -behind:]], 1)
    while len(weights["levels.weight"]) < LEVELS:
        weights["levels.weight"] = torch.cat([weights["levels.weight"], weights["levels.weight"][-1:]])
        weights["levels.bias"] = torch.cat([weights["levels.bias"], weights["levels.bias"][-1:] - RARER])
    network.load_state_dict(weights)


def save(network: SegmenterNetwork, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"config": asdict(network.config), "weights": network.state_dict()}, path)


def load_network(path: Path) -> SegmenterNetwork:
    saved = torch.load(path)
    config = {name: tuple(value) if isinstance(value, list) else value for name, value in saved["config"].items()}
    network = SegmenterNetwork(NetworkConfig(**config))
    network.levels = torch.nn.Linear(network.config.hidden, len(saved["weights"]["levels.bias"]))
    network.load_state_dict(saved["weights"])
    return network.eval()
