"""The mean of the weights of several checkpoints of one training.

An early checkpoint is nearer to texts that look like no training text. A late one fits the training texts better. Their mean lies
between.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch


def average(checkpoints: Sequence[Path], out: Path) -> None:
    """@raises ValueError where the checkpoints are of networks of different shapes"""
    saved = [torch.load(path) for path in checkpoints]
    shapes = [{name: value for name, value in each["config"].items() if name != "dropout"} for each in saved]
    if any(shape != shapes[0] for shape in shapes):
        raise ValueError("checkpoints of different networks have no mean")
    weights = {name: sum(each["weights"][name] for each in saved) / len(saved) for name in saved[0]["weights"]}
    torch.save({"config": saved[0]["config"], "weights": weights}, out)
