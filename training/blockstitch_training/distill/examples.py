"""The examples of training: blocks in order, and final blocks over them. They are token ids only; example_sources.py knows texts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Final:
    """A final block: question, header and answer, or any text that follows the blocks."""

    tokens: tuple[int, ...]  # length >= 1
    trained: tuple[bool, ...]  # whether this token's prediction is trained; the first token's never is
    needs: frozenset[int] = frozenset()  # blocks without which it cannot be answered, where the source knows

    @staticmethod
    def of_answer(asked: list[int], answer: list[int], needs: frozenset[int] = frozenset()) -> Final:
        return Final((*asked, *answer), (False,) * len(asked) + (True,) * len(answer), needs)

    @staticmethod
    def of_text(tokens: list[int]) -> Final:
        return Final(tuple(tokens), (False,) + (True,) * (len(tokens) - 1))


@dataclass(frozen=True)
class Example:
    """Blocks [n][tokens] as they stand in the prompt, and final blocks that each follow all of them."""

    blocks: tuple[tuple[int, ...], ...]
    finals: tuple[Final, ...]
    framing: frozenset[int] = frozenset()  # blocks that are the chat template's and no document's: they are in every prompt

    @property
    def tokens(self) -> int:
        return sum(map(len, self.blocks)) + sum(len(final.tokens) for final in self.finals)


class Source(Protocol):
    """Gives examples by number. The same number gives the same example, so that training can be resumed exactly."""

    def example(self, index: int) -> Example: ...


def packs(source: Source, budget: int, first: int, rank: int = 0, ranks: int = 1) -> Iterator[tuple[list[Example], int]]:
    """Endless packs of at least one example and at most about `budget` tokens. Rank r of n takes numbers r, r + n, ...

    @param first number with which this rank begins: 0, or the second part of the last pack
    @returns pairs of examples and the number with which the next pack begins
    """
    at = first
    while True:
        taken: list[Example] = []
        tokens = 0
        while True:
            example = source.example(at * ranks + rank)
            if taken and tokens + example.tokens > budget:
                break
            taken.append(example)
            tokens += example.tokens
            at += 1
        yield taken, at
