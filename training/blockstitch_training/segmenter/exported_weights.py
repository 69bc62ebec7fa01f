"""Reads an exported segmenter back into a checkpoint, so that training can go on from the shipped files alone.

Tables come back from int8 and other weights from float16, which is all that the files hold. The export may rename a matrix (val_214) and
transpose it, so matrices are found by their shapes and their order.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import torch

from .network import NetworkConfig, SegmenterNetwork
from .segmenter_checkpoint import save


def recover(model: Path, out: Path) -> None:
    """Writes the checkpoint of `model`/segmenter.onnx. The log-odds keep the factor of its calibration.

    Beside it, where they are missing, come words.bin and table.pt, which `train` reads from its directory.

    @raises ValueError where the file does not hold the network of network.py
    """
    arrays = {t.name.removesuffix(".half"): onnx.numpy_helper.to_array(t) for t in onnx.load(model / "segmenter.onnx").graph.initializer}
    # Feature columns: whatever the inlet reads beside what its configuration names.
    bare = NetworkConfig(rows=1, features=0)
    widths = {a.shape for a in arrays.values() if a.ndim == 2 and a.shape[1] == bare.hidden and a.shape[0] > 2 * bare.hidden + 2 * len(bare.scales)}
    if len(widths) != 1:
        raise ValueError(f"{model}: {len(widths)} matrices could be the inlet")
    plain = SegmenterNetwork(bare).inlet.in_features
    tables = [a for a in arrays.values() if a.dtype == np.int8 and a.ndim == 2]
    rows = tables[0].shape[0]
    network = SegmenterNetwork(NetworkConfig(rows=rows, features=widths.pop()[0] - plain))
    # The file may know fewer levels than network.py does now.
    network.levels = torch.nn.Linear(network.config.hidden, len(arrays["network.levels.bias"]))
    taken: set[str] = set()

    def matrix(shape: tuple[int, ...]) -> np.ndarray:
        for name, array in arrays.items():
            if name not in taken and array.shape == shape:
                taken.add(name)
                return array.astype(np.float32)
        raise ValueError(f"{model}: no weights of shape {shape}")

    weights = network.state_dict()
    scales = matrix((rows, 2))
    weights["table.embedding.weight"] = torch.from_numpy(matrix((rows, network.config.word_size)) * scales[:, :1])
    weights["table.weight.weight"] = torch.from_numpy(scales[:, 1:].copy())
    weights["cues.weight"] = torch.from_numpy(matrix((rows, network.config.cue_size)) * matrix((rows, 1)))
    for name, tensor in weights.items():
        if name.startswith(("table.", "cues.")):
            continue
        kept = arrays.get(f"network.{name}")
        found = kept.astype(np.float32) if kept is not None else matrix(tuple(tensor.shape[::-1])).T
        weights[name] = torch.from_numpy(np.ascontiguousarray(found)).view(tensor.shape)
    network.load_state_dict(weights)
    save(network, out)
    if not (table := out.parent / "table.pt").exists():
        torch.save({"table": network.table.state_dict(), "topic": network.topic.state_dict()}, table)
    if not (words := out.parent / "words.bin").exists():
        shutil.copy(model / "words.bin", words)
