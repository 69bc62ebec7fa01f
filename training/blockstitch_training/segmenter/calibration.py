"""One factor on all log-odds, so that they are as sure as they are right on documents held out of training.

This is temperature scaling (Guo et al. 2017, "On Calibration of Modern Neural Networks", section 4). Long training makes log-odds too
sure. Lengths and shared words then count too little in the choice of boundaries.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from .crop_batches import Collection
from .held_out_f1 import logits_of
from .network import SegmenterNetwork

DOCUMENTS = 10
FACTORS = tuple(step / 20 for step in range(8, 31))


def best_factor(network: SegmenterNetwork, held_out: Collection) -> float:
    """The factor in 0.4..1.5 with the least cross-entropy over the first documents of each category.

    @raises ValueError where there are no documents
    """
    logits, labels = [], []
    for documents in held_out.documents.values():
        for document in documents[:DOCUMENTS]:
            inner = logits_of(network, document)[:-1]
            logits.append(inner)
            labels.append(np.stack([document.labels[: len(inner)] >= level for level in range(1, inner.shape[1] + 1)], 1))
    if not logits:
        raise ValueError("calibration needs held-out documents (dev-*.npz of the command prepare)")
    scores, wanted = torch.from_numpy(np.concatenate(logits)), torch.from_numpy(np.concatenate(labels)).float()
    return min(FACTORS, key=lambda factor: float(functional.binary_cross_entropy_with_logits(factor * scores, wanted)))


@torch.no_grad()
def calibrate(network: SegmenterNetwork, held_out: Collection) -> float:
    """Multiplies the network's log-odds by their best factor, and returns it."""
    factor = best_factor(network, held_out)
    network.levels.weight.mul_(factor)
    network.levels.bias.mul_(factor)
    return factor
