"""Reads an exported segmenter back into checkpoints, so that training can go on from the shipped files alone.

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


def recover(model: Path, out: Path) -> list[Path]:
    """Writes the checkpoint of `model`/segmenter.onnx to `out`. Where it holds several networks, the second goes beside it as NAME-2.pt,
    and so on. The log-odds keep the factor of their calibration.

    Beside them, where they are missing, come words.bin and table.pt, which `train` reads from its directory.

    @raises ValueError where the file does not hold networks of network.py
    @returns the checkpoints
    """
    arrays = {t.name.removesuffix(".half"): onnx.numpy_helper.to_array(t) for t in onnx.load(model / "segmenter.onnx").graph.initializer}
    numbers = sorted({int(name.split(".")[1]) for name in arrays if name.startswith("networks.")})
    prefixes = [f"networks.{number}." for number in numbers] or ["network."]  # the second: files of one network, as they were first
    # Feature columns: whatever an inlet reads beside what its configuration names.
    bare = NetworkConfig(rows=1, features=0)
    least = 2 * bare.hidden + 2 * len(bare.scales)
    inlets = [a.shape[0] for a in arrays.values() if a.ndim == 2 and a.shape[1] == bare.hidden and a.shape[0] > least]
    if len(inlets) != len(prefixes):
        raise ValueError(f"{model}: {len(inlets)} matrices could be the inlet of {len(prefixes)} networks")
    plain = SegmenterNetwork(bare).inlet.in_features
    rows = next(a for a in arrays.values() if a.dtype == np.int8 and a.ndim == 2).shape[0]
    taken: set[str] = set()

    def matrix(shape: tuple[int, ...]) -> np.ndarray:
        for name, array in arrays.items():
            if name not in taken and array.shape == shape:
                taken.add(name)
                return array.astype(np.float32)
        raise ValueError(f"{model}: no weights of shape {shape}")

    scales = matrix((rows, 2))
    table = {
        "table.embedding.weight": torch.from_numpy(matrix((rows, bare.word_size)) * scales[:, :1]),
        "table.weight.weight": torch.from_numpy(scales[:, 1:].copy()),
    }
    made = []
    for number, (prefix, inlet) in enumerate(zip(prefixes, inlets, strict=True), start=1):
        network = SegmenterNetwork(NetworkConfig(rows=rows, features=inlet - plain))
        # The file may know fewer levels than network.py does now.
        network.levels = torch.nn.Linear(network.config.hidden, len(arrays[f"{prefix}levels.bias"]))
        weights = network.state_dict()
        weights |= table
        weights["cues.weight"] = torch.from_numpy(matrix((rows, network.config.cue_size)) * matrix((rows, 1)))
        for name, tensor in weights.items():
            if name.startswith(("table.", "cues.")):
                continue
            kept = arrays.get(f"{prefix}{name}")
            found = kept.astype(np.float32) if kept is not None else matrix(tuple(tensor.shape[::-1])).T
            weights[name] = torch.from_numpy(np.ascontiguousarray(found)).view(tensor.shape)
        network.load_state_dict(weights)
        made.append(out if number == 1 else out.with_stem(f"{out.stem}-{number}"))
        save(network, made[-1])
        if not (kept_table := out.parent / "table.pt").exists():
            torch.save({"table": network.table.state_dict(), "topic": network.topic.state_dict()}, kept_table)
    if not (words := out.parent / "words.bin").exists():
        shutil.copy(model / "words.bin", words)
    return made
