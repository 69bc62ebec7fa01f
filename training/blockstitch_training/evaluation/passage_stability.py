"""Whether a retrieved passage is cut alike wherever it stands: seams found, and passages with the same blocks in every order.

Reads the kept-out prompts that `semanticseg talk` writes (or others in the same rows): `segments`, `seams` (numbers of the boundaries that
are seams, 0 for the one behind the first segment), `group` (rows of a group hold the same passages), `order`, `template`,
`unseen`, `preamble` (whether a segment stands before the first passage).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .node_segmenters import NodeSegmenters


@dataclass
class Tally:
    """Seams that have a cut, and passages whose blocks are the same in all orders."""

    seams: int = 0
    found: int = 0
    passages: int = 0
    same: int = 0

    def row(self) -> dict:
        return {**self.__dict__, "found_share": self.found / max(1, self.seams), "same_share": self.same / max(1, self.passages)}


@dataclass(frozen=True)
class PromptRow:
    """boundaries: UTF-16 offsets of all inner boundaries. text: of the whole prompt."""

    id: str
    group: int
    template: str
    unseen: bool
    preamble: bool
    order: tuple[int, ...]
    text: str
    seams: tuple[int, ...]


@dataclass
class Stability:
    """all, seen, unseen: over templates used in training or not. templates: one by one."""

    parts: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    templates: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))

    def rows(self) -> dict:
        return {"parts": {name: each.row() for name, each in self.parts.items()}, "templates": {name: each.row() for name, each in self.templates.items()}}


def read_prompts(path: Path) -> list[PromptRow]:
    rows = []
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            ends, at = [], 0
            for segment in row["segments"][:-1]:
                at += len(segment.encode("utf-16-le", "surrogatepass")) // 2 + 1
                ends.append(at)
            seams = tuple(ends[number] for number in row["seams"])
            rows.append(PromptRow(row["id"], row["group"], row["template"], row["unseen"], row["preamble"], tuple(row["order"]), "\n".join(row["segments"]), seams))
    return rows


def passages_of(row: PromptRow, cuts: Sequence[int]) -> tuple[list[bool], dict[int, tuple[int, ...] | None]]:
    """@returns for each seam whether a cut stands at it, and for each passage its inner cuts from its start; None where an edge has none"""
    body = row.text.encode("utf-16-le", "surrogatepass")
    marked = set(cuts)
    found = [any(at in marked for at in _same_place(body, seam)) for seam in row.seams]
    first = int(row.preamble)
    edges = [0, *row.seams, len(body) // 2]
    whole = [True, *found, True]
    blocks: dict[int, tuple[int, ...] | None] = {}
    for place, passage in enumerate(row.order):
        start, end = edges[place + first], edges[place + first + 1]
        inner = tuple(cut - start for cut in cuts if start < cut < end and cut not in _same_place(body, start) and cut not in _same_place(body, end))
        blocks[passage] = inner if whole[place + first] and whole[place + first + 1] else None
    return found, blocks


def _same_place(body: bytes, at: int) -> set[int]:
    """Offsets that differ from `at` by white space alone."""
    spaces = {each.encode("utf-16-le") for each in " \t\r\n"}
    out = {at}
    low = high = at
    while body[2 * low - 2 : 2 * low] in spaces:
        low -= 1
        out.add(low)
    while body[2 * high : 2 * high + 2] in spaces:
        high += 1
        out.add(high)
    return out


def stability(rows: Sequence[PromptRow], cuts: Sequence[Sequence[int]]) -> Stability:
    """cuts: of each row, UTF-16 offsets."""
    out = Stability()
    groups: dict[int, list[tuple[PromptRow, dict]]] = defaultdict(list)
    for row, each in zip(rows, cuts, strict=True):
        found, blocks = passages_of(row, each)
        groups[row.group].append((row, blocks))
        for tally in _tallies(out, row):
            tally.seams += len(found)
            tally.found += sum(found)
    for members in groups.values():
        row = members[0][0]
        for passage in row.order:
            seen = {blocks[passage] for _, blocks in members}
            for tally in _tallies(out, row):
                tally.passages += 1
                tally.same += len(seen) == 1 and None not in seen
    return out


def _tallies(out: Stability, row: PromptRow) -> list[Tally]:
    return [out.parts["all"], out.parts["unseen" if row.unseen else "seen"], out.templates[row.template]]


def measure(path: Path, repository: Path, segmenter: str, options: dict[str, float], arguments: Sequence[str]) -> Stability:
    """Cuts every prompt under the options (none: the server's defaults). @raises SegmenterFailed where one cannot be cut"""
    rows = read_prompts(path)
    node = NodeSegmenters(repository, tuple(arguments))
    (cuts,) = node.cut(segmenter, [(row.id, row.text) for row in rows], [options])
    return stability(rows, cuts)


def table(found: Stability) -> str:
    lines = ["| prompts | seams | found | passages | same blocks in every order |", "|---|---|---|---|---|"]
    for name, each in [*found.parts.items(), *sorted(found.templates.items())]:
        row = each.row()
        lines.append(f"| {name} | {each.seams} | {100 * row['found_share']:.1f}% | {each.passages} | {100 * row['same_share']:.1f}% |")
    return "\n".join(lines) + "\n"
