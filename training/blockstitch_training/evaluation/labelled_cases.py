"""Labelled documents in the form that the metrics take: units with their offsets, and the reference boundaries at each granularity."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .node_segmenters import NodeSegmenters


@dataclass(frozen=True)
class LabelledText:
    """gold: UTF-16 offset and strength of each boundary, in order. Documents without levels have strength 1 everywhere."""

    id: str
    set: str
    category: str
    text: str
    gold: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Case:
    """starts: UTF-16 offset of each unit, the first 0. Boundaries below are unit numbers."""

    labelled: LabelledText
    starts: tuple[int, ...]

    @property
    def units(self) -> int:
        return len(self.starts)

    def reference(self, level: int) -> list[int]:
        """Boundaries of at least this strength."""
        return sorted({self.nearest(offset) for offset, strength in self.labelled.gold if strength >= level} - {0})

    def hypothesis(self, offsets: Sequence[int]) -> list[int]:
        """A segmenter's cuts, each moved to the nearest unit. Two cuts at one unit count once."""
        return sorted({self.nearest(offset) for offset in offsets} - {0})

    def nearest(self, offset: int) -> int:
        at = bisect_left(self.starts, offset)
        if at == len(self.starts) or (at and offset - self.starts[at - 1] < self.starts[at] - offset):
            return at - 1
        return at


def read_labelled(path: Path, name: str, most: int = 0) -> list[LabelledText]:
    """Rows of segments joined by a newline, from one JSONL file or every shard of a folder. At most `most` per category, 0 for all.

    @raises ValueError naming the file and line of a row that has no segments
    """
    out: list[LabelledText] = []
    taken: dict[str, int] = {}
    for file in sorted(path.rglob("*.jsonl")) if path.is_dir() else [path]:
        with file.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                row = json.loads(line)
                segments, levels = row.get("segments"), row.get("levels")
                if not segments or (levels is not None and len(levels) != len(segments) - 1):
                    raise ValueError(f"{file}:{number}: a row needs segments, and one level fewer than segments where it has levels")
                category = str(row.get("category", name))
                if most and taken.get(category, 0) >= most:
                    continue
                taken[category] = taken.get(category, 0) + 1
                gold = []
                offset = 0
                for index, segment in enumerate(segments[:-1]):
                    offset += len(segment.encode("utf-16-le", "surrogatepass")) // 2 + 1
                    gold.append((offset, levels[index] if levels else 1))
                out.append(LabelledText(str(row["id"]), name, category, "\n".join(segments), tuple(gold)))
    return out


def make_cases(texts: Sequence[LabelledText], node: NodeSegmenters) -> list[Case]:
    """Units are the project's own sentences and lines, and the reference boundaries too, so that every boundary can be named."""
    cases = []
    for text, starts in zip(texts, node.unit_starts([each.text for each in texts]), strict=True):
        # Indentation and empty lines may stand between a reference boundary and the unit it begins.
        body = text.text.encode("utf-16-le", "surrogatepass")
        known = set(starts) | {0}
        for offset, _ in text.gold:
            at = offset
            while body[2 * at : 2 * at + 2] in _SPACES:
                at += 1
            known.discard(at if at != offset else -1)
            known.add(offset)
        cases.append(Case(text, tuple(sorted(known))))
    return cases


_SPACES = {each.encode("utf-16-le") for each in " \t\n\r"}
