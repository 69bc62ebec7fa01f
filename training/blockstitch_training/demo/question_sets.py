"""Sets of generated questions that training never saw, for every evaluation.

The entities are held out (another seed space) and so are the openers. Each context gets one question. All documents but one are
distractors, and the gold document can stand anywhere. A set depends on its name and size alone. It knows no prompts and no models.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from .question_generator import make_example

HELD_OUT_SEED = 1_000_000_000
MOST_TRIES = 400  # contexts tried for one that has the wanted question
SORTS = ("mixed", "direct", "continued", "two-hop")
CONTINUED = 0.5  # share of the documents that go on where the one before was cut


@dataclass(frozen=True)
class Asked:
    """One question. `gold` is the index of the document with the answer. `via` is the index of the one that leads there (two-hop)."""

    documents: tuple[str, ...]
    titles: tuple[str, ...]
    question: str
    accepted: tuple[str, ...]
    gold: int
    via: int | None = None

    def reordered(self, order: list[int]) -> Asked:
        """@param order which old document stands at each new place"""
        place = {old: new for new, old in enumerate(order)}
        return Asked(
            tuple(self.documents[old] for old in order), tuple(self.titles[old] for old in order), self.question, self.accepted,
            place[self.gold], None if self.via is None else place[self.via],
        )  # fmt: skip


def generated(documents: int, count: int, sort: str = "mixed", held_out: bool = True, entities: int = 1, continued: float = CONTINUED) -> list[Asked]:
    """
    @param sort of question (question_generator.py): "direct", "continued", "two-hop", or "mixed" for direct and continued ones as they come
    @param continued share of the documents, 0 to 1, that go on where the one before was cut
    @raise ValueError where a question over two documents is wanted and there are fewer
    """
    if sort not in SORTS:
        raise ValueError(f"sort must be one of {', '.join(SORTS)}, not {sort!r}")
    if sort == "continued" and continued == 0:
        raise ValueError("continued questions need documents that go on: continued must be above 0")
    if sort in ("continued", "two-hop") and documents < 2:
        raise ValueError(f"a {sort} question needs two documents")
    rng = random.Random(f"evaluate/{HELD_OUT_SEED}/{documents}/{sort}/{held_out}/{entities}")
    asked = []
    while len(asked) < count:
        for _ in range(MOST_TRIES):
            made = make_example(rng, documents, 4 * documents, entities, float(sort == "two-hop"), held_out, continued)
            question = next((each for each in made.questions if sort in (each.sort, "mixed")), None)
            if question is not None:
                break
        else:
            raise ValueError(f"no {sort} question among {MOST_TRIES} contexts of {documents} documents")
        titles = ("",) * len(made.documents)
        asked.append(Asked(tuple(made.documents), titles, question.question, (question.answer,), question.gold, question.via))
    return asked


def orders(asked: list[Asked], count: int) -> list[list[Asked]]:
    """The same questions `count` times. Each time every context's documents have another drawn order."""
    shuffled = []
    for number in range(count):
        rng = random.Random(f"order/{number}")
        turn = []
        for each in asked:
            order = list(range(len(each.documents)))
            rng.shuffle(order)
            turn.append(each.reordered(order))
        shuffled.append(turn)
    return shuffled
