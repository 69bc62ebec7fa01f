"""Packs blocks and final blocks of many prompts into one row of tokens, and says which tokens see which.

A *segment* is a run of tokens that is causal within itself. Every segment sees the sinks. A segment with a context also sees the
segments of its context, placed in order behind the sinks, as a final block sees stitched blocks. A segment of a context has no context
of its own, so its keys and values depend on the sinks and on itself alone. It is computed once, however many final blocks use it, and
its tokens are never padded through the linear layers. Full causal attention is the same thing with all blocks of a prompt merged into
one segment.

Positions (arXiv 2409.15355, section 2.3): with k sinks a segment without context stands at k..k+n-1. As the i-th of a context it must
act as if it stood at p_i = k + the earlier lengths. Its keys are rotated at their local positions, and they are rotated on by
delta_i = p_i - k for the tokens that see them there. A segment with a context stands at k + the lengths of its context.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

ROW_SLACK = 1.25  # rows of one group differ in length by at most this factor, plus ROW_SLACK_TOKENS
ROW_SLACK_TOKENS = 8


@dataclass(frozen=True)
class Segment:
    """`tokens`: length >= 1. `context`: indexes of segments without context, in the order in which they are placed."""

    tokens: Sequence[int]
    context: tuple[int, ...] = ()


@dataclass
class RowGroup:
    """Rows of similar length, for one call of attention. Indexes point into the packed row; padding points at 0."""

    query: torch.Tensor  # int64 [rows, Lq]
    key: torch.Tensor  # int64 [rows, Lk]
    delta: torch.Tensor | None  # int64 [rows, Lk], None where all are 0
    visible: torch.Tensor | None  # bool [rows, Lq, Lk]; None means causal over equal queries and keys
    distance: torch.Tensor  # int64 [rows, Lq, Lk]: query position - key position, for sliding windows


@dataclass
class Layout:
    """One packed row of T tokens: the k sinks, then the segments one after another."""

    sinks: int
    input_ids: torch.Tensor  # int64 [1, T]
    position_ids: torch.Tensor  # int64 [1, T], local positions
    starts: list[int]  # of each segment in the packed row
    segments: list[Segment]
    groups: list[RowGroup]
    unpack: torch.Tensor  # int64 [T]: where a token's output is, in the groups' query rows laid end to end
    positions: list[int] = field(default_factory=list)  # first position of each segment

    @property
    def tokens(self) -> int:
        return self.input_ids.shape[1]

    def place(self, segment: int, offset: int) -> int:
        """Index in the packed row of a segment's token."""
        return self.starts[segment] + offset

    def to(self, device: torch.device | str) -> Layout:
        def move(group: RowGroup) -> RowGroup:
            parts = (group.query, group.key, group.delta, group.visible, group.distance)
            return RowGroup(*(None if part is None else part.to(device, non_blocking=True) for part in parts))

        return Layout(
            self.sinks, self.input_ids.to(device), self.position_ids.to(device), self.starts, self.segments,
            [move(group) for group in self.groups], self.unpack.to(device), self.positions,
        )  # fmt: skip


@dataclass
class _Row:
    """One attention row before padding. Keys of the row's own segments come last; a query sees those of its own segment only."""

    query: list[int]
    key: list[int]
    delta: list[int]
    query_segment: list[int]
    key_segment: list[int]  # -1: seen by every query of the row
    query_position: list[int]
    key_position: list[int]
    causal: bool  # the queries are the keys, in order


def build_layout(sink_ids: Sequence[int], segments: Sequence[Segment]) -> Layout:
    """
    @param sink_ids ids at positions 0..k-1; may be empty
    @raise ValueError for an empty segment, or for a context that names a segment with a context
    """
    sinks = len(sink_ids)
    ids = list(sink_ids)
    positions = list(range(sinks))
    starts: list[int] = []
    firsts: list[int] = []
    for index, segment in enumerate(segments):
        if not segment.tokens:
            raise ValueError(f"segment {index} has no tokens")
        if any(segments[seen].context for seen in segment.context):
            raise ValueError(f"segment {index} has a context that has a context")
        first = sinks + sum(len(segments[seen].tokens) for seen in segment.context)
        starts.append(len(ids))
        firsts.append(first)
        ids.extend(segment.tokens)
        positions.extend(range(first, first + len(segment.tokens)))
    rows = _plain_rows(sinks, segments, starts) + _context_rows(sinks, segments, starts, firsts)
    if not segments:
        rows.append(_sink_row(sinks))
    groups, unpack = _group(rows, len(ids))
    return Layout(sinks, torch.tensor([ids]), torch.tensor([positions]), starts, list(segments), groups, unpack, firsts)


def _sink_row(sinks: int) -> _Row:
    own = list(range(sinks))
    return _Row(own, own, [0] * sinks, [0] * sinks, [0] * sinks, own, own, causal=True)


def _plain_rows(sinks: int, segments: Sequence[Segment], starts: list[int]) -> list[_Row]:
    """The sinks and one segment, causal. The sinks' own queries are in the row too, so that no mask is needed."""
    rows = []
    for index, segment in enumerate(segments):
        if segment.context:
            continue
        length = len(segment.tokens)
        own = [*range(sinks), *range(starts[index], starts[index] + length)]
        positions = list(range(sinks + length))
        rows.append(_Row(own, own, [0] * len(own), [0] * len(own), [0] * len(own), positions, positions, causal=True))
    if not rows and sinks:
        rows.append(_sink_row(sinks))
    return rows


def _context_rows(sinks: int, segments: Sequence[Segment], starts: list[int], firsts: list[int]) -> list[_Row]:
    """Segments with the same context share one row. Its keys are gathered and rotated once for all of them."""
    members: dict[tuple[int, ...], list[int]] = {}
    for index, segment in enumerate(segments):
        if segment.context:
            members.setdefault(segment.context, []).append(index)
    rows = []
    for context, own in members.items():
        row = _Row([], list(range(sinks)), [0] * sinks, [], [-1] * sinks, [], list(range(sinks)), causal=False)
        delta = 0
        for seen in context:
            length = len(segments[seen].tokens)
            row.key.extend(range(starts[seen], starts[seen] + length))
            row.delta.extend([delta] * length)
            row.key_segment.extend([-1] * length)
            row.key_position.extend(range(sinks + delta, sinks + delta + length))
            delta += length
        for index in own:
            length = len(segments[index].tokens)
            tokens = range(starts[index], starts[index] + length)
            places = range(firsts[index], firsts[index] + length)
            row.query.extend(tokens)
            row.key.extend(tokens)
            row.delta.extend([0] * length)
            row.query_segment.extend([index] * length)
            row.key_segment.extend([index] * length)
            row.query_position.extend(places)
            row.key_position.extend(places)
        rows.append(row)
    return rows


def _group(rows: list[_Row], tokens: int) -> tuple[list[RowGroup], torch.Tensor]:
    """Sorts rows by length into groups with little padding. @returns the groups and Layout.unpack"""
    order = sorted(rows, key=lambda row: (row.causal, len(row.key), len(row.query)))
    batches: list[list[_Row]] = []
    for row in order:
        first = batches[-1][0] if batches else None
        if first is not None and first.causal == row.causal and _similar(first, row):
            batches[-1].append(row)
        else:
            batches.append([row])
    unpack = torch.zeros(tokens, dtype=torch.int64)
    groups = []
    laid = 0
    for batch in batches:
        group = _pad(batch)
        width = group.query.shape[1]
        for at, row in enumerate(batch):
            unpack[torch.tensor(row.query)] = laid + at * width + torch.arange(len(row.query))
        laid += len(batch) * width
        groups.append(group)
    return groups, unpack


def _similar(first: _Row, row: _Row) -> bool:
    def near(small: int, large: int) -> bool:
        return max(small, large) <= min(small, large) * ROW_SLACK + ROW_SLACK_TOKENS

    return near(len(first.key), len(row.key)) and near(len(first.query), len(row.query))


def _padded(rows: list[list[int]], filler: int) -> torch.Tensor:
    width = max(len(row) for row in rows)
    return torch.tensor([row + [filler] * (width - len(row)) for row in rows], dtype=torch.int64)


def _pad(batch: list[_Row]) -> RowGroup:
    query = _padded([row.query for row in batch], 0)
    key = _padded([row.key for row in batch], 0)
    # Padded keys stand behind every query, so every comparison of positions leaves them out.
    key_position = _padded([row.key_position for row in batch], 1 << 30)
    distance = _padded([row.query_position for row in batch], 0)[:, :, None] - key_position[:, None, :]
    if batch[0].causal:
        return RowGroup(query, key, None, None, distance)
    delta = _padded([row.delta for row in batch], 0)
    query_segment = _padded([row.query_segment for row in batch], -2)
    key_segment = _padded([row.key_segment for row in batch], -3)
    own = (query_segment[:, :, None] == key_segment[:, None, :]) & (distance >= 0)
    visible = own | (key_segment == -1)[:, None, :]
    # A padded query must see something, or its softmax would be 0/0. Nobody reads its result.
    visible[..., 0] |= query_segment == -2
    return RowGroup(query, key, delta, visible, distance)
