"""Draws contexts from works: documents as a RAG application would send them, and several questions over each.

| kind | documents of a context |
| --- | --- |
| nq | 4 to 10 passages of as many questions, shuffled |
| xquad | an article's paragraphs and three of other articles, shuffled |
| covidqa | 8 neighbouring chunks of one paper, in order |
| pubmedqa | the sections of 1 to 3 abstracts, in order |

In three contexts of four one more question is asked that the documents do not answer. Its answer is ABSENT. Everything is drawn from
the seed. Questions of one context share their prefill in training (distill/layout.py).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from .question_files import Passage, Question, Work

ABSENT = "Not in the documents."
ABSENT_SHARE = 0.75  # of the contexts
NQ_PASSAGES = (4, 10)
XQUAD_OTHERS = 3
XQUAD_QUESTIONS = 12  # of about 25
TURNS = {"xquad": 4}  # how often a kind is taken in one round: it has few works with many questions each
COVIDQA_CHUNKS = 8
PUBMEDQA_ABSTRACTS = (1, 3)


@dataclass(frozen=True)
class Asked:
    question: str
    answer: str
    gold: tuple[int, ...]  # documents that hold the answer; none for an absent question


@dataclass(frozen=True)
class Context:
    kind: str
    works: tuple[str, ...]  # ids of the works that the documents come from
    documents: tuple[Passage, ...]
    asked: tuple[Asked, ...]

    def rows(self) -> Iterator[dict]:
        """One conversation a question, in the form of `distill train --chat`, with the gold documents beside it."""
        documents = [document.as_document() for document in self.documents]
        for each in self.asked:
            messages = [{"role": "user", "content": each.question}, {"role": "assistant", "content": each.answer}]
            yield {"kind": self.kind, "works": self.works, "gold": each.gold, "messages": messages, "documents": documents}


def draw_contexts(kind: str, works: Sequence[Work], rounds: int, seed: str) -> Iterator[Context]:
    """Every round takes every work once, in another order and other company. The same seed gives the same contexts."""
    for turn in range(rounds):
        rng = random.Random(f"{seed}/{kind}/{turn}")
        order = list(works)
        rng.shuffle(order)
        for context in _DRAWERS[kind](order, rng):
            if context.asked:
                yield context


def _nq(works: list[Work], rng: random.Random) -> Iterator[Context]:
    at = 0
    while at < len(works):
        size = rng.randint(*NQ_PASSAGES)
        taken = works[at : at + size]
        at += size
        asked = [Asked(work.questions[0].text, work.questions[0].answer, (place,)) for place, work in enumerate(taken)]
        yield _finished("nq", taken, [work.parts[0] for work in taken], asked, works, rng)


def _xquad(works: list[Work], rng: random.Random) -> Iterator[Context]:
    for work in works:
        others = [(other, part) for other in works if other is not work for part in other.parts]
        drawn = rng.sample(others, min(XQUAD_OTHERS, len(others)))
        parts = [(place, part) for place, part in enumerate(work.parts)] + [(-1, part) for _, part in drawn]
        rng.shuffle(parts)
        at = {place: index for index, (place, _) in enumerate(parts) if place >= 0}
        questions = rng.sample(work.questions, min(XQUAD_QUESTIONS, len(work.questions)))
        asked = [Asked(each.text, each.answer, (at[each.gold],)) for each in questions]
        taken = [work, *dict.fromkeys(other for other, _ in drawn)]
        yield _finished("xquad", taken, [part for _, part in parts], asked, works, rng)


def _covidqa(works: list[Work], rng: random.Random) -> Iterator[Context]:
    for work in works:
        left = list(work.questions)
        while left:
            centre = left[0].gold
            first = max(0, min(centre - rng.randrange(COVIDQA_CHUNKS), len(work.parts) - COVIDQA_CHUNKS))
            window = range(first, min(first + COVIDQA_CHUNKS, len(work.parts)))
            asked = [Asked(each.text, each.answer, (each.gold - first,)) for each in left if each.gold in window]
            left = [each for each in left if each.gold not in window]
            yield _finished("covidqa", [work], [work.parts[index] for index in window], asked, works, rng)


def _pubmedqa(works: list[Work], rng: random.Random) -> Iterator[Context]:
    at = 0
    while at < len(works):
        size = rng.randint(*PUBMEDQA_ABSTRACTS)
        taken = works[at : at + size]
        at += size
        documents: list[Passage] = []
        asked = []
        for work in taken:
            gold = tuple(range(len(documents), len(documents) + len(work.parts)))
            documents += work.parts
            asked.append(Asked(work.questions[0].text, work.questions[0].answer, gold))
        yield Context("pubmedqa", tuple(work.id for work in taken), tuple(documents), tuple(asked))


def _finished(kind: str, taken: list[Work], documents: list[Passage], asked: list[Asked], works: list[Work], rng: random.Random) -> Context:
    """Adds the absent question, and shuffles the questions. The order of works, and so of nq's documents, is drawn already."""
    absent = _absent(taken, works, rng) if rng.random() < ABSENT_SHARE else None
    if absent is not None:
        asked = [*asked, Asked(absent.text, ABSENT, ())]
    rng.shuffle(asked)
    return Context(kind, tuple(work.id for work in taken), tuple(documents), tuple(asked))


def _absent(taken: list[Work], works: list[Work], rng: random.Random) -> Question | None:
    """A question over a work of which no part is in the context."""
    present = {work.id for work in taken}
    for _ in range(8):
        other = rng.choice(works)
        if other.id not in present and other.questions:
            return rng.choice(other.questions)
    return None


_DRAWERS: dict[str, Callable[[list[Work], random.Random], Iterator[Context]]] = {
    "nq": _nq, "xquad": _xquad, "covidqa": _covidqa, "pubmedqa": _pubmedqa,
}  # fmt: skip
