"""Muon for the layers' matrices and AdamW for the rest, or AdamW for everything. One schedule drives both.

Muon (Jordan et al. 2024) moves a matrix along its orthogonalized momentum. Small models learn a new circuit in a fraction of AdamW's
steps.
"""

from __future__ import annotations

import torch


def make_optimizers(
    model: torch.nn.Module, rate: float, muon_rate: float = 0.0, weight_decay: float = 0.0, token_rate: float = 0.0
) -> list[torch.optim.Optimizer]:
    """
    Frozen weights are left out.

    @param rate       learning rate of AdamW
    @param token_rate AdamW's for single rows of the embedding that a low-rank model trains, PEFT's trainable tokens; 0: `rate`
    @param muon_rate  learning rate of Muon for the matrices between embeddings and head; 0 leaves them to AdamW
    """
    trained = [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]
    matrices = [weight for name, weight in trained if muon_rate > 0 and weight.ndim == 2 and not _is_table(name)]
    chosen = {id(weight) for weight in matrices}
    rows = [weight for name, weight in trained if token_rate > 0 and "trainable_tokens" in name]
    chosen |= {id(weight) for weight in rows}
    groups = [{"params": [weight for _, weight in trained if id(weight) not in chosen]}]
    groups += [{"params": rows, "lr": token_rate, "weight_decay": 0.0}] if rows else []
    made: list[torch.optim.Optimizer] = [torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.95), weight_decay=weight_decay)]
    return [torch.optim.Muon(matrices, lr=muon_rate, weight_decay=0.01), *made] if matrices else made


def _is_table(name: str) -> bool:
    return "embed" in name or "lm_head" in name


class Schedule:
    """Several optimizers as one. Each keeps its own learning rate; one factor scales all of them."""

    def __init__(self, optimizers: list[torch.optim.Optimizer]):
        self.optimizers = optimizers
        self.rates = [[group["lr"] for group in optimizer.param_groups] for optimizer in optimizers]

    def scale(self, factor: float) -> None:
        for optimizer, rates in zip(self.optimizers, self.rates, strict=True):
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * factor

    def step(self) -> None:
        for optimizer in self.optimizers:
            optimizer.step()

    def zero_grad(self, set_to_none: bool = True) -> None:
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=set_to_none)
