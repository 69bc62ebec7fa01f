"""Copies a small sample of a build: the shortest rows of each category, without sources that may not be passed on."""

from __future__ import annotations

import json
from pathlib import Path

from .shards import read_shards


def write_sample(shards: Path, out: Path, rows: int, without: tuple[str, ...] = ()) -> int:
    """Writes one JSONL file per category. @returns rows written"""
    by_category: dict[str, list[dict]] = {}
    for row in read_shards(shards):
        if not set(row["source"].split(", ")) & set(without):
            by_category.setdefault(row["category"], []).append(row)
    out.mkdir(parents=True, exist_ok=True)
    count = 0
    for category, members in sorted(by_category.items()):
        shortest = sorted(members, key=lambda row: (row["length_tokens"], row["id"]))[:rows]
        (out / f"{category}.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in shortest))
        count += len(shortest)
    return count
