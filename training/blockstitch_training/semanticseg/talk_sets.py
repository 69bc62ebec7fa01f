"""Writes the sets that stand beside SemanticSeg's sixteen categories: task dialogues, labelled talk and stuffed prompts, with a card.

They come from the project's own data folder and from the pool of a build, and keep the splits of both. Weights of training keep them in
balance with the categories (segmenter/crop_batches.py).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from .build_settings import BuildSettings
from .document import Instance
from .labelled_talk import QMSUM, TIAGE, TalkSource, even_rows, labelled_instances
from .pool import Pool, read_pool
from .shards import shard_path, write_shard
from .stuffed_prompts import kept_out_prompts, read_passages, stuffed_instances
from .task_dialogues import read_dialogues, task_instances

KEPT_OUT = 300  # prompts; twice as many joined dialogues
DEV = 60
ORDERS = 3


@dataclass(frozen=True)
class TalkPlan:
    """data: folder with `segmentation` and `rag`. shards: a build of SemanticSeg with its pool. Counts are of training instances."""

    data: Path
    shards: Path
    out: Path
    task_dialogues: int = 2_500
    qmsum: int = 300
    tiage: int = 300
    stuffed: int = 3_000


def write_talk_sets(plan: TalkPlan, settings: BuildSettings, progress: Callable[[str], None] = lambda _: None) -> Path:
    """Writes train/, dev/ and kept-out/ below `plan.out`, and CARD.md. @returns the card's path"""
    lines = ["# Talk and prompts beside SemanticSeg", "", "| set | split | instances | segments | licence | source |", "|---|---|---|---|---|---|"]

    def put(split: str, name: str, instances: Iterable[Instance], license: str, source: str) -> None:
        counted = _Counted(instances)
        rows = write_shard(shard_path(plan.out, split, name, 0), counted)
        lines.append(f"| {name} | {split} | {rows:,} | {counted.segments:,} | {license} | {source} |")
        progress(f"{split} {name}: {rows}")

    dialogues = read_dialogues(plan.data / "segmentation" / "sgd.train.jsonl")
    for split, count in (("train", plan.task_dialogues), ("dev", DEV), ("test", 2 * KEPT_OUT)):
        folder = "kept-out" if split == "test" else split
        put(folder, "sgd", task_instances(dialogues, split, count, settings.seed), "CC-BY-SA-4.0", "SGD, task dialogues")
    for source, count in ((QMSUM, plan.qmsum), (TIAGE, plan.tiage)):
        _put_labelled(plan, source, count, settings.seed, put)
    for split, count in (("train", plan.stuffed), ("dev", DEV)):
        passages = read_passages(plan.data / "rag", Pool(read_pool(plan.shards / "pool", settings, split), split), split)
        put(split, "stuffed", stuffed_instances(passages, count, settings.seed), "each passage its own", "SemanticSeg's pool; nq, xquad and covidqa training files")
    passages = read_passages(plan.data / "rag", Pool(read_pool(plan.shards / "pool", settings, "test"), "test"), "test")
    target = plan.out / "kept-out" / "stuffed.jsonl"
    rows = list(kept_out_prompts(passages, KEPT_OUT, ORDERS, settings.seed))
    target.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8", errors="replace")
    lines.append(f"| stuffed | kept-out | {len(rows):,} ({KEPT_OUT} in {ORDERS} orders) | {sum(len(row['segments']) for row in rows):,} | each passage its own | as above, test splits |")
    lines += ["", "Of QMSum and TIAGE only the rows with an even number (from 0) are used. What is kept out is in no training row: dialogues by their",
              "ids, passages by the title or article they are from."]  # fmt: skip
    card = plan.out / "CARD.md"
    card.write_text("\n".join(lines) + "\n")
    return card


def _put_labelled(plan: TalkPlan, source: TalkSource, count: int, seed: int, put: Callable[..., None]) -> None:
    rows = even_rows(plan.data / "segmentation" / f"{source.name}.dev.jsonl")
    put("train", source.name, labelled_instances(source, rows, count, seed), source.license, source.provenance)


class _Counted:
    """Instances, with their segments counted as they go by."""

    def __init__(self, instances: Iterable[Instance]) -> None:
        self.instances = instances
        self.segments = 0

    def __iter__(self):
        for each in self.instances:
            self.segments += len(each.segments)
            yield each
