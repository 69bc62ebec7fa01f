"""How well scored boundaries part held-out documents during training: F1 when each document gets as many boundaries as its
reference has, at the highest scores. The comparison with baselines is `python -m blockstitch_training.evaluation segmenters`.
"""

from __future__ import annotations

import numpy as np
import torch

from .crop_batches import collate, crop
from .feature_stream import UnitDocument
from .network import LEVELS, SegmenterNetwork

LONGEST = 1600


@torch.no_grad()
def logits_of(network: SegmenterNetwork, document: UnitDocument) -> np.ndarray:
    """Log-odds [units, 5]. Documents are cut to LONGEST units."""
    part = crop(document, 0, min(document.units, LONGEST))
    return network(collate([part]))[0].float().numpy()


def top_f1(network: SegmenterNetwork, documents: list[UnitDocument], mix: tuple[float, ...] = (1,) * LEVELS, level: int = 1, slack: int = 0) -> float:
    """Micro F1 of boundaries of at least `level`, as many as there are, at the highest mix of log-odds."""
    network.eval()
    hits = total = 0
    for document in documents:
        logits = logits_of(network, document)[:-1]
        wanted = np.flatnonzero(document.labels[: len(logits)] >= level)
        if len(wanted) == 0:
            continue
        chosen = np.argsort(-(logits @ np.array(mix)))[: len(wanted)]
        hits += sum(1 for place in wanted if np.abs(chosen - place).min() <= slack)
        total += len(wanted)
    network.train()
    return hits / max(1, total)
