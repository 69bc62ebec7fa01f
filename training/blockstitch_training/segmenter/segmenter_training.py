"""Trains the segmenter: `python -m blockstitch_training.segmenter.train --work DIR --out FILE --minutes 30`.

DIR is what prepare.py made, and distill.py where it was run. AdamW with one cosine, cross-entropy on boundary levels, bfloat16 by autocast. The
word table stays as it is found, so that means of it are computed once.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

from .crop_batches import Collection, Sampler, load
from .held_out_f1 import top_f1
from .network import NetworkConfig, SegmenterNetwork, level_loss
from .sentence_teacher import principal_axes

BUDGET_UNITS = 2560
LONGEST_STEP = 8.0


def new_network(work: Path, features: int, config: NetworkConfig | None = None) -> SegmenterNetwork:
    """A network over the teacher's word table (kept as it is); cues start from the table's largest variances."""
    saved = torch.load(work / "table.pt")
    base = config or NetworkConfig(rows=0, features=0)
    rows, size = saved["table"]["embedding.weight"].shape
    network = SegmenterNetwork(replace(base, rows=rows, word_size=size, features=features))
    network.table.load_state_dict(saved["table"])
    network.topic.load_state_dict(saved["topic"])
    with torch.no_grad():
        vectors = network.table.embedding.weight
        _, axes = principal_axes(vectors[::4].numpy(), network.config.cue_size)
        start = vectors @ torch.from_numpy(np.ascontiguousarray(axes))
        network.cues.weight.copy_(start / start.std() * 0.2)
    network.table.requires_grad_(False)
    return network


def go_on_from(network: SegmenterNetwork, checkpoint: Path, new_table: bool = False) -> None:
    """Takes over the weights of a checkpoint. It may have seen fewer features: what it did not see counts nothing at first.

    new_table: keeps the network's own word table and topic projection, where distill.py has drawn them since.
    """
    saved = torch.load(checkpoint)
    weights, c = saved["weights"], network.config
    if new_table:
        own = network.state_dict()
        weights.update({name: own[name] for name in own if name.startswith(("table.", "topic."))})
    added = c.features - saved["config"]["features"]
    if added:
        inlet = weights["inlet.weight"]
        behind = 2 * len(c.scales)
        weights["inlet.weight"] = torch.cat([inlet[:, :-behind], inlet.new_zeros(len(inlet), added), inlet[:, -behind:]], 1)
    network.load_state_dict(weights)


def rate(share: float) -> float:
    """Of the highest learning rate, at this share of the training: a short rise, then half a cosine."""
    return min(1.0, share / 0.03) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, share))))


def train(options: argparse.Namespace) -> None:
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
        # Being paused is no training.
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


def save(network: SegmenterNetwork, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"config": asdict(network.config), "weights": network.state_dict()}, path)


def load_network(path: Path) -> SegmenterNetwork:
    saved = torch.load(path)
    config = {name: tuple(value) if isinstance(value, list) else value for name, value in saved["config"].items()}
    network = SegmenterNetwork(NetworkConfig(**config))
    network.load_state_dict(saved["weights"])
    return network.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="what prepare.py made")
    parser.add_argument("--out", type=Path, required=True, help="checkpoint, written again and again")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--most", type=int, default=1 << 30, help="documents of each category")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--start", type=Path, help="checkpoint to go on from")
    parser.add_argument("--new-table", action="store_true", help="with the word table of DIR, not the checkpoint's")
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--rate", type=float, default=1.0, help="of the usual learning rate")
    parser.add_argument("--show", type=float, default=90, help="seconds between reports")
    parser.add_argument("--bfloat16", action=argparse.BooleanOptionalAction, default=True)
    options = parser.parse_args()
    print(json.dumps({name: str(value) for name, value in vars(options).items()}))
    train(options)


if __name__ == "__main__":
    main()
