"""Questions over texts that have none: a model writes them, and the teacher answers them, both through a running server.

    context  = 4 to 8 passages: half of the contexts are neighbours of one text, in order, the others come from as many texts
    question = what the writer adds to a few examples of a text and its question, held to that form by a regular expression
    answer   = the teacher's greedy answer to that question over the whole context, under full attention

Block distillation wants what the teacher says, right or wrong: the student learns its distribution at these tokens. So a small model is
a good enough writer. A question of which less than half of the longer words stand in the passage, or that did not end in time, is written
again, twice at most; then the passage is dropped. Answers that did not end in time and questions that were asked before are dropped too.
Everything is drawn from the seed and the context's number; what is there is not asked again.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from ..journal.journal import Journal, read_rows
from .contexts import Asked, Context
from .question_files import Passage, Work

KIND = "written"
LEAST_WORDS = 25  # of a passage that is asked about
LONG_WORD = 5  # letters
LEAST_SHARE = 0.5  # of a question's long words in its passage
QUESTION_TOKENS, ANSWER_TOKENS = 64, 64
TEMPERATURE = 0.7
TRIES = 3
QUESTION_FORM = r" [A-Z][^\n?]{10,140}\?\n"
EXAMPLES = """\
Text: The harbour of Brelle was built in 1874 by the engineer Ida Kron. Its wall is 900 metres long, and a small lighthouse stands at its end.
Question: Who built the harbour of Brelle?

Text: Unlike most owls, the burrowing owl is active by day. It nests in holes that ground squirrels have left, and eats insects and mice.
Question: Where does the burrowing owl nest?

Text: Install the package with the command below. The service listens on port 7070. If the port is taken, set LISTEN_PORT in settings.env.
Question: Which port does the service listen on?

Text: {text}
Question:"""


class Writer(Protocol):
    def continued(self, prompt: str, regex: str, limit: int, temperature: float, seed: int) -> str | None: ...


class Teacher(Protocol):
    def answered(self, question: str, documents: Sequence[Passage], limit: int) -> str | None: ...


@dataclass(frozen=True)
class Drawing:
    """What is drawn. `documents`: fewest and most passages of a context; `questions`: of one context, each about another passage."""

    contexts: int
    documents: tuple[int, int]
    questions: int
    seed: str


@dataclass(frozen=True)
class Drawn:
    """A context before it has questions."""

    number: int
    works: tuple[str, ...]
    documents: tuple[Passage, ...]
    about: tuple[int, ...]  # places of the passages that are asked about


def draw_unasked(works: Sequence[Work], drawing: Drawing) -> Iterator[Drawn]:
    """@raise ValueError where no passage is long enough to be asked about"""
    if not any(_long_enough(part) for work in works for part in work.parts):
        raise ValueError(f"no passage of these texts has {LEAST_WORDS} words")
    for number in range(drawing.contexts):
        rng = random.Random(f"{drawing.seed}/{number}")
        about: list[int] = []
        while not about:
            taken = _passages(works, rng.randint(*drawing.documents), rng)
            places = [at for at, (_, part) in enumerate(taken) if _long_enough(part)]
            about = rng.sample(places, min(drawing.questions, len(places)))
        yield Drawn(number, tuple(dict.fromkeys(work.id for work, _ in taken)), tuple(part for _, part in taken), tuple(about))


def _long_enough(part: Passage) -> bool:
    return len(part.text.split()) >= LEAST_WORDS


def _passages(works: Sequence[Work], size: int, rng: random.Random) -> list[tuple[Work, Passage]]:
    long = [work for work in works if len(work.parts) >= size]
    if long and (rng.random() < 0.5 or len(works) == 1):
        work = rng.choice(long)
        first = rng.randrange(len(work.parts) - size + 1)
        return [(work, part) for part in work.parts[first : first + size]]
    return [(work, rng.choice(work.parts)) for work in rng.sample(list(works), min(size, len(works)))]


def ask(drawn: Drawn, writer: Writer, teacher: Teacher, seed: str) -> tuple[list[Asked], Counter[str]]:
    """@returns questions with answers, and how many were dropped, by reason"""
    asked: list[Asked] = []
    dropped: Counter[str] = Counter()
    for place in drawn.about:
        made = _question(drawn.documents[place].text, writer, random.Random(f"{seed}/{drawn.number}/{place}"))
        if made is None:
            dropped["no question about the passage"] += 1
        elif answer := teacher.answered(made, drawn.documents, ANSWER_TOKENS):
            asked.append(Asked(made, answer, (place,)))
        else:
            dropped["answer too long, or empty"] += 1
    return asked, dropped


def _question(passage: str, writer: Writer, rng: random.Random) -> str | None:
    text = " ".join(passage.split())
    for _ in range(TRIES):
        made = writer.continued(EXAMPLES.format(text=text), QUESTION_FORM, QUESTION_TOKENS, TEMPERATURE, rng.getrandbits(31))
        if made is not None and is_about(made, text):
            return made
    return None


def is_about(question: str, text: str) -> bool:
    """Whether at least half of the question's longer words stand in the text."""
    words = [word for word in re.findall(r"\w+", question.lower()) if len(word) >= LONG_WORD]
    there = set(re.findall(r"\w+", text.lower()))
    return bool(words) and sum(word in there for word in words) >= LEAST_SHARE * len(words)


def write_questions(
    file: Path, works: Sequence[Work], drawing: Drawing, writer: Writer, teacher: Teacher, at_once: int, progress: Callable[[int], None] = lambda _: None
) -> tuple[list[Context], Counter[str]]:
    """Asks until every context of the drawing is in `file`, one line each, those without questions too.

    @param at_once contexts that are asked about at the same time; more of them fill the server's batches
    @returns contexts with questions, in order, and how many questions were dropped, by reason, in this call and earlier ones
    @raise what writer and teacher raise; what was answered until then is in the file
    """
    drawn = list(draw_unasked(works, drawing))
    rows = {row["number"]: row for row in read_rows(file)}
    left = [each for each in drawn if each.number not in rows]
    pool = ThreadPoolExecutor(at_once)
    try:
        with Journal(file) as journal:
            for each, (asked, dropped) in zip(left, pool.map(lambda each: ask(each, writer, teacher, drawing.seed), left), strict=True):
                rows[each.number] = {"number": each.number, "asked": [asdict(one) for one in asked], "dropped": dropped}
                journal.add(rows[each.number])
                progress(len(rows))
    finally:
        pool.shutdown(cancel_futures=True)
    dropped = sum((Counter(row["dropped"]) for row in rows.values()), Counter())
    known: set[str] = set()
    contexts = []
    for each in drawn:
        new = [one for one in rows[each.number]["asked"] if one["question"] not in known]
        dropped["asked before"] += len(rows[each.number]["asked"]) - len(new)
        known.update(one["question"] for one in new)
        if new:
            asked = tuple(Asked(one["question"], one["answer"], tuple(one["gold"])) for one in new)
            contexts.append(Context(KIND, each.works, each.documents, asked))
    return contexts, +dropped
