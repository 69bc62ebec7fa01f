"""The mean of the weights of checkpoints that one training went through: between an early one, which is nearer to what no training
text looks like, and a late one, which fits the training texts better. `python -m blockstitch_training.segmenter.average A.pt B.pt --out C.pt`
"""

from __future__ import annotations

import argparse
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    average(options.checkpoints, options.out)


if __name__ == "__main__":
    main()
