"""Trains the segmenter: `python -m blockstitch_training.segmenter.train --work DIR --out FILE --minutes 30`.

DIR is what prepare.py made. AdamW with one cosine; loss on boundary levels, and on topic vectors where a teacher's are
known. Dense parameters run in bfloat16 where autocast helps; the word table starts from the teacher's word vectors.
"""

from __future__ import annotations

import argparse
import json
import math
import struct
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

from .batches import Collection, Sampler, load
from .network import NetworkConfig, SegmenterNetwork, level_loss, topic_loss
from .scoring import top_f1

BUDGET_UNITS = 3072
LONGEST_STEP = 8.0


def new_network(work: Path, features: int, config: NetworkConfig | None = None) -> SegmenterNetwork:
    """A network whose word table starts from the teacher's vectors and whose weights start from rarity."""
    header = (work / "words.bin").read_bytes()
    words, shared = struct.unpack_from("<II", header, 4)
    base = config or NetworkConfig(rows=0, features=0)
    network = SegmenterNetwork(replace(base, rows=words + shared, features=features))
    idf = np.frombuffer(header, np.uint8, words, 16 + 4 * words).astype(np.float32) / 16
    with torch.no_grad():
        table = network.table
        table.weight.weight[:words, 0] = torch.from_numpy(np.log(np.clip(idf, 0.3, None) / 6))
        vectors_path = work / "word-vectors.npy"
        if vectors_path.exists():
            from .teacher import principal_axes

            vectors = np.load(vectors_path).astype(np.float32)
            mean, axes = principal_axes(vectors, table.embedding.embedding_dim)
            reduced = (vectors - mean) @ axes
            table.embedding.weight[:words] = torch.from_numpy(reduced / reduced.std() * 0.15)
    return network


def rate(share: float) -> float:
    """Of the highest learning rate, at this share of the training: a short rise, then half a cosine."""
    return min(1.0, share / 0.03) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, share))))


def train(options: argparse.Namespace) -> None:
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    collection, held_out = load(options.work, "train"), load(options.work, "dev")
    first = next(iter(collection.documents.values()))[0]
    network = new_network(options.work, first.values.shape[1])
    if options.start:
        network.load_state_dict(torch.load(options.start)["weights"], strict=False)
    tables = [p for name, p in network.named_parameters() if name.startswith("table.")]
    others = [p for name, p in network.named_parameters() if not name.startswith("table.")]
    groups = [
        {"params": others, "lr": 2e-3, "weight_decay": 0.02},
        {"params": tables, "lr": 1e-3, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98))
    highest = [group["lr"] * options.rate for group in optimizer.param_groups]
    sampler = Sampler(collection, BUDGET_UNITS, options.seed, options.teacher_share)
    print(f"{sum(p.numel() for p in others) / 1e6:.2f}M parameters beside the table, {sum(map(len, collection.documents.values()))} documents", flush=True)
    spent, step, shown, losses = 0.0, 0, 0.0, [0.0, 0.0, 0, 0]
    network.train()
    while spent < options.minutes * 60:
        started = time.monotonic()
        share = spent / (options.minutes * 60)
        for group, most in zip(optimizer.param_groups, highest, strict=True):
            group["lr"] = most * rate(share)
        batch = sampler.draw()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=options.bfloat16):
            logits, topic = network(batch)
        loss = level_loss(logits.float(), batch.labels, batch.units)
        losses[0] += float(loss)
        losses[2] += 1
        if batch.teacher is not None:
            known = topic_loss(topic.float(), network.to_teacher(topic.float()), batch.teacher, batch.units)
            losses[1] += float(known)
            losses[3] += 1
            loss = loss + options.topic_weight * known
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
            losses = [0.0, 0.0, 0, 0]
            save(network, options.out)
    save(network, options.out)


def report(network: SegmenterNetwork, held_out: Collection, step: int, spent: float, losses: list[float]) -> None:
    scores = {name: top_f1(network, documents[:8]) for name, documents in held_out.documents.items()}
    mean = sum(scores.values()) / max(1, len(scores))
    shown = " ".join(f"{name[:6]} {100 * score:.0f}" for name, score in scores.items())
    print(
        f"step {step} {spent / 60:.1f} min  levels {losses[0] / max(1, losses[2]):.4f}  topic {losses[1] / max(1, losses[3]):.3f}  mean F1 {100 * mean:.1f}  {shown}",
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
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--start", type=Path, help="checkpoint to go on from")
    parser.add_argument("--rate", type=float, default=1.0, help="of the usual learning rate")
    parser.add_argument("--teacher-share", type=float, default=0.25, help="of the batches")
    parser.add_argument("--topic-weight", type=float, default=0.3)
    parser.add_argument("--show", type=float, default=90, help="seconds between reports")
    parser.add_argument("--bfloat16", action=argparse.BooleanOptionalAction, default=True)
    options = parser.parse_args()
    print(json.dumps({name: str(value) for name, value in vars(options).items()}))
    train(options)


if __name__ == "__main__":
    main()
