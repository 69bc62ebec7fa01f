"""Lays drawn examples out for student and teacher, and pairs the places where both predict the same token.

The student sees most examples under block attention and a share of them under full attention, so that it keeps both. The teacher sees
them under full attention, a privileged one without the documents that a question does not need. For token weights the same layout also
holds them under block attention, so that one forward pass of the frozen teacher gives both losses. It knows layouts and no models.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from .block_dropout import Drawn
from .layout import Layout, Segment, build_layout
from .sink_tokens import NO_EDGES, Edges


@dataclass
class Batch:
    """n trained tokens. `*_keep` [n]: places in the packed row whose logits predict them; `labels` [n]: the tokens; `share` float32 [n]: how
    much each counts before token weights, 1 but for tokens of questions."""

    student: Layout
    student_keep: torch.Tensor
    labels: torch.Tensor
    share: torch.Tensor
    in_block: torch.Tensor  # bool [n]
    teacher: Layout | None
    teacher_keep: torch.Tensor | None
    teacher_block_keep: torch.Tensor | None
    student_read: torch.Tensor | None = None  # int64 [m]: places of all tokens of final and acting blocks (hidden_states.py)
    teacher_read: torch.Tensor | None = None  # the same tokens in the teacher's row, under full attention

    def to(self, device: torch.device | str) -> Batch:
        def moved(part):
            return None if part is None else part.to(device)

        return Batch(*(moved(getattr(self, name)) for name in self.__dataclass_fields__))

    def thinned(self, most: int, rng: random.Random) -> Batch:
        """At most `most` trained tokens, drawn evenly and kept in their order."""
        if len(self.labels) <= most:
            return self
        chosen = torch.tensor(sorted(rng.sample(range(len(self.labels)), most)))
        per_token = ("student_keep", "labels", "share", "in_block", "teacher_keep", "teacher_block_keep")
        for name in per_token:
            part = getattr(self, name)
            if part is not None:
                setattr(self, name, part[chosen])
        return self


@dataclass
class Laid:
    """Where a packer put one example. Trained tokens come in one order for all packers."""

    places: list[tuple[int, int]] = field(default_factory=list)  # (segment, offset) of the predictor of every trained token
    labels: list[int] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)
    read: list[tuple[int, int]] = field(default_factory=list)  # (segment, offset) of every token of final and acting blocks


@dataclass
class Packer:
    """Collects segments of many examples. Equal blocks are kept once. `sink_ids` may be empty. Only a block's text is trained, not its edges."""

    sink_ids: Sequence[int]
    edges: Edges = NO_EDGES
    segments: list[Segment] = field(default_factory=list)
    known: dict[tuple[int, ...], int] = field(default_factory=dict)

    def block(self, tokens: tuple[int, ...]) -> int:
        if tokens not in self.known:
            self.known[tokens] = self.add(tokens, ())
        return self.known[tokens]

    def add(self, tokens: tuple[int, ...], context: tuple[int, ...]) -> int:
        self.segments.append(Segment(tokens, context))
        return len(self.segments) - 1

    def example(self, drawn: Drawn, full: bool, asked: float = 0.0, privileged: bool = False) -> Laid:
        """@param privileged with `full`: final blocks that name what they need see that and the template's blocks alone"""
        example = drawn.example
        laid = Laid()
        blocks = [self.edges.around(block) for block in example.blocks]
        starts = [0]
        for block in blocks:
            starts.append(starts[-1] + len(block))
        for index in drawn.acting:
            block = example.blocks[index]
            if full:
                segment, start = self._context(blocks, True)[0], starts[index]
            else:
                segment, start = self.add(blocks[index], self._context(blocks[:index], False)), 0
            start += len(self.edges.start)
            laid.places.extend((segment, start + offset) for offset in range(len(block) - 1))
            laid.read.extend((segment, start + offset) for offset in range(len(block)))
            laid.labels.extend(block[1:])
            laid.shares.extend([1.0] * (len(block) - 1))
        for final in example.finals:
            narrowed = privileged and bool(final.needs)
            seen = [block for at, block in enumerate(blocks) if not narrowed or at in final.needs or at in example.framing]
            segment = self.add(final.tokens, self._context(seen, full))
            laid.read.extend((segment, offset) for offset in range(len(final.tokens)))
            for offset in range(1, len(final.tokens)):
                share = 1.0 if final.trained[offset] else asked
                if share > 0:
                    laid.places.append((segment, offset - 1))
                    laid.labels.append(final.tokens[offset])
                    laid.shares.append(share)
        return laid

    def _context(self, blocks: Sequence[tuple[int, ...]], full: bool) -> tuple[int, ...]:
        """The segments that hold these blocks: one each, or under full attention one for all."""
        if full and blocks:
            return (self.block(tuple(token for block in blocks for token in block)),)
        return tuple(self.block(block) for block in blocks)

    def layout(self) -> Layout:
        return build_layout(self.sink_ids, self.segments)


def assemble(
    drawn: Sequence[Drawn],
    full: Sequence[bool],
    student_sinks: Sequence[int],
    teacher_sinks: Sequence[int],
    with_teacher: bool,
    with_weights: bool,
    with_states: bool = False,
    asked: float = 0.0,
    student_edges: Edges = NO_EDGES,
    teacher_edges: Edges = NO_EDGES,
    privileged: bool = False,
) -> Batch:
    """
    @param privileged  whether the teacher, under full attention, sees the needed blocks alone
    @param full  per example: whether the student sees it under full attention
    @param asked share of the tokens of final blocks that are not of the answer: question and header; 0: they are not trained
    @raise ValueError where no token is trained
    """
    student = Packer(student_sinks, student_edges)
    laid = [student.example(each, whole, asked) for each, whole in zip(drawn, full, strict=True)]
    labels = [label for each in laid for label in each.labels]
    if not labels:
        raise ValueError("no token of this batch is trained: its examples have neither final blocks nor drawn ones")
    layout = student.layout()
    share = torch.tensor([share for each in laid for share in each.shares])
    in_block = torch.tensor([not whole for each, whole in zip(laid, full, strict=True) for _ in each.labels])
    batch = Batch(layout, _keep(layout, _places(laid)), torch.tensor(labels), share, in_block, None, None, None)
    if with_teacher:
        teacher = Packer(teacher_sinks, teacher_edges)
        seen = [teacher.example(each, True, asked, privileged) for each in drawn]
        split = [teacher.example(each, False, asked) for each in drawn] if with_weights else None
        batch.teacher = teacher.layout()
        batch.teacher_keep = _keep(batch.teacher, _places(seen))
        batch.teacher_block_keep = None if split is None else _keep(batch.teacher, _places(split))
        if with_states:
            batch.student_read = _keep(layout, [place for each in laid for place in each.read])
            batch.teacher_read = _keep(batch.teacher, [place for each in seen for place in each.read])
    return batch


def _places(laid: Sequence[Laid]) -> list[tuple[int, int]]:
    return [place for each in laid for place in each.places]


def _keep(layout: Layout, places: list[tuple[int, int]]) -> torch.Tensor:
    return torch.tensor([layout.place(segment, offset) for segment, offset in places], dtype=torch.int64)
