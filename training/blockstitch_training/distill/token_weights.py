"""Token-level loss weighting: tokens that block attention hurts count more.

For a trained token t the frozen teacher has a loss under full attention l_full(t) and one under block attention l_block(t). Both
are -log p(t) in nats, with the teacher's own weights and sinks, so the weights do not move with training. With `--gap student` l_block(t)
is the student's own loss instead: what it has learned by then stops to count.

    g(t) = min(c, |l_block(t) - l_full(t)|)                         clipped gap, c = `clip`
    u(t) = (e + g(t)) / mean over the step of (e + g)               normalized: mean 1, so that the step size stays; e = `floor`
    w(t) = 1 + a(s) (u(t) - 1)                                      schedule, s in 0..1 is the share of the steps that is done:
    a(s) = min(s / r, (1 - s) / (1 - r))                            uniform at first, full at r = `ramp`, uniform again at the end

The mean runs over all micro-batches and processes of an optimizer step (step_loss.py). The gap counts in both directions: where
block attention happens to guess better, it still does not do what the teacher does. Tokens of examples that the student sees under
full attention keep weight 1. Off: w(t) = 1.
"""

from __future__ import annotations

import torch
from torch.nn import functional

CHUNK = 1024  # rows of logits in float32 at a time


def token_losses(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """-log p(label) [n], float32, for logits [n, vocab]."""
    parts = zip(logits.split(CHUNK), labels.split(CHUNK), strict=True)
    return torch.cat([functional.cross_entropy(rows.float(), wanted, reduction="none") for rows, wanted in parts])


def token_gaps(full: torch.Tensor, block: torch.Tensor, clip: float, floor: float) -> torch.Tensor:
    """e + g(t) [n], nats. @param full, block the teacher's losses [n] under either attention"""
    return floor + (block - full).abs().clamp(max=clip)


def token_weights(gaps: torch.Tensor, in_block: torch.Tensor, mean: torch.Tensor, progress: float) -> torch.Tensor:
    """
    @param gaps     of token_gaps, [n]
    @param in_block bool [n]: tokens that the student predicts under block attention
    @param mean     mean of the gaps over all `in_block` tokens of the step, scalar
    @param progress a(s), 0..1
    @returns weights [n], of mean 1 over the step's `in_block` tokens and exactly 1 elsewhere
    """
    weights = 1 + progress * (gaps / mean.clamp(min=1e-9) - 1)
    return torch.where(in_block, weights, torch.ones_like(weights))
