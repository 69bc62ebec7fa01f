"""Shards of instances as JSONL. A shard is written whole or not at all, so that a stopped build can go on."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from .document import Instance


def shard_path(out: Path, split: str, category: str, number: int) -> Path:
    return out / split / f"{category}-{number:04d}.jsonl"


def write_shard(path: Path, instances: Iterable[Instance]) -> int:
    """@returns rows written"""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    count = 0
    with partial.open("w", encoding="utf-8", errors="replace") as out:
        for instance in instances:
            out.write(json.dumps(instance.row(), ensure_ascii=False) + "\n")
            count += 1
    os.replace(partial, path)
    return count


def read_shards(folder: Path) -> Iterator[dict]:
    """Rows of every shard below the folder, in order of their names."""
    for path in sorted(folder.rglob("*.jsonl")):
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line)
