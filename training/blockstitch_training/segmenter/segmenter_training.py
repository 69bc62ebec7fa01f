"""Trains the segmenter's network on what preparation.py made, over the word table that table_distillation.py drew.

AdamW with one cosine, cross-entropy on boundary levels, bfloat16 by autocast. The word table stays as it is, so that the means of it
are computed once.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from .crop_batches import Collection, Sampler, load
from .held_out_f1 import top_f1
from .network import NetworkConfig, SegmenterNetwork, level_loss
from .segmenter_checkpoint import go_on_from, new_network, save

BUDGET_UNITS = 2560
LONGEST_STEP = 8.0


@dataclass(frozen=True)
class TrainingOptions:
    """One training, as its command names it."""

    work: Path  # directory that preparation.py made
    out: Path  # checkpoint, written again and again
    minutes: float
    threads: int
    most: int  # documents of each category
    seed: int
    start: Path | None  # checkpoint to begin with
    new_table: bool  # keep the word table of `work` instead of the checkpoint's
    dropout: float
    rate: float  # factor on the usual learning rate
    show: float  # seconds between reports
    bfloat16: bool


def rate(share: float) -> float:
    """Factor on the highest learning rate at this share of the training: a short rise, then half a cosine."""
    return min(1.0, share / 0.03) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, share))))


def train(options: TrainingOptions) -> None:
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    held_out = load(options.work, "dev")
    first = next(iter(held_out.documents.values()))[0]
    network = new_network(options.work, first.values.shape[1], NetworkConfig(rows=0, features=0, dropout=options.dropout))
    if options.start:
        go_on_from(network, options.start, options.new_table)
    collection = load(options.work, "train", network.table, options.most)
    trained = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
    tables = [p for name, p in trained if name.startswith("cues.")]
    others = [p for name, p in trained if not name.startswith("cues.")]
    groups = [
        {"params": others, "lr": 2e-3, "weight_decay": 0.02},
        {"params": tables, "lr": 1e-3, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98))
    highest = [group["lr"] * options.rate for group in optimizer.param_groups]
    sampler = Sampler(collection, BUDGET_UNITS, options.seed)
    print(f"{sum(p.numel() for p in others) / 1e6:.2f}M parameters beside the table, {sum(map(len, collection.documents.values()))} documents", flush=True)
    spent, step, shown = 0.0, 0, 0.0
    losses: list[float] = []
    network.train()
    while spent < options.minutes * 60:
        started = time.monotonic()
        share = spent / (options.minutes * 60)
        for group, most in zip(optimizer.param_groups, highest, strict=True):
            group["lr"] = most * rate(share)
        batch = sampler.draw()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=options.bfloat16):
            logits = network(batch)
        loss = level_loss(logits.float(), batch.labels, batch.units)
        losses.append(float(loss.detach()))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(others, 1.0)
        optimizer.step()
        step += 1
        # A pause does not count as training.
        spent += min(LONGEST_STEP, time.monotonic() - started)
        if spent - shown > options.show:
            shown = spent
            report(network, held_out, step, spent, losses)
            losses.clear()
            save(network, options.out)
    save(network, options.out)


def report(network: SegmenterNetwork, held_out: Collection, step: int, spent: float, losses: list[float]) -> None:
    scores = {name: top_f1(network, documents[:8]) for name, documents in held_out.documents.items()}
    mean = sum(scores.values()) / max(1, len(scores))
    shown = " ".join(f"{name[:6]} {100 * score:.0f}" for name, score in scores.items())
    print(
        f"step {step} {spent / 60:.1f} min  loss {sum(losses) / max(1, len(losses)):.4f}  mean F1 {100 * mean:.1f}  {shown}",
        flush=True,
    )
