"""Token-level loss weighting: tokens that block attention hurts count more.

For a trained token t with the frozen teacher's loss under full attention l_full(t) and under block attention l_block(t), both
-log p(t) in nats, both with the teacher's own weights and sinks (never the student's: the weights do not move with training):

    g(t) = min(c, |l_block(t) - l_full(t)|)                         clipped gap, c = `clip`
    u(t) = (e + g(t)) / mean over the batch of (e + g)              normalized: mean 1, so that the step size stays; e = `floor`
    w(t) = 1 + a(s) (u(t) - 1)                                      schedule, s in 0..1 the share of the steps that is done:
    a(s) = min(s / r, (1 - s) / (1 - r))                            uniform at first, full at r = `ramp`, uniform again at the end

The gap counts in both directions: where block attention happens to guess better, it still is not what the teacher does. Tokens
of examples that the student sees under full attention keep weight 1. Off: w(t) = 1.
"""

from __future__ import annotations

import torch
from torch.nn import functional

CHUNK = 1024  # rows of logits in float32 at a time


def token_losses(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """-log p(label) [n], float32, for logits [n, vocab]."""
    parts = zip(logits.split(CHUNK), labels.split(CHUNK), strict=True)
    return torch.cat([functional.cross_entropy(rows.float(), wanted, reduction="none") for rows, wanted in parts])


def token_weights(
    full: torch.Tensor, block: torch.Tensor, in_block: torch.Tensor, progress: float, clip: float, floor: float
) -> torch.Tensor:
    """
    @param full, block teacher's losses [n] under either attention
    @param in_block    bool [n]: tokens that the student predicts under block attention
    @param progress    a(s), 0..1
    @returns weights [n], of mean 1 over `in_block` and exactly 1 elsewhere
    """
    gap = floor + (block - full).abs().clamp(max=clip)
    share = in_block.to(gap.dtype)
    mean = (gap * share).sum() / share.sum().clamp(min=1)
    weights = 1 + progress * (gap / mean.clamp(min=1e-9) - 1)
    return torch.where(in_block, weights, torch.ones_like(weights))
