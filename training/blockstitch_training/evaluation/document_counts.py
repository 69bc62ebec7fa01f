"""Rows of questions over other numbers of documents, with the one that answers at a place of choice: for `blockstitch eval`.

A question keeps the document that answers it and the first of its own others. Where it has too few, documents of other rows fill up:
drawn ones that have another title and tell no accepted answer, neither in their text nor in their title. It reads and writes rows and
asks nobody.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..demo.question_sets import Asked
from .answer_scores import contains
from .asked_prompts import read_rag


@dataclass(frozen=True)
class CountsPlan:
    data: list[Path]  # rows with question, answers, documents and gold
    rows: int  # of each file
    counts: list[int]  # documents of a question, >= 1
    places: list[str]  # of the document that answers: "drawn", "first", "middle", "last"
    seed: int
    out: Path


def write_counts(plan: CountsPlan) -> list[Path]:
    """Writes NAME-COUNT-PLACE.jsonl for each file, count and place; the same questions in all of them. @returns the files

    @raise ValueError where the rows hold too few documents, or one is no row of questions over documents
    """
    plan.out.mkdir(parents=True, exist_ok=True)
    made = []
    for file in plan.data:
        asked = read_rag(file, plan.rows)
        for count in plan.counts:
            for place in plan.places:
                target = plan.out / f"{file.name.removesuffix('.jsonl')}-{count}-{place}.jsonl"
                rows = (row(widened(asked, at, count, place, plan.seed), f"{file.stem}-{at}") for at in range(len(asked)))
                target.write_text("".join(json.dumps(each, ensure_ascii=False) + "\n" for each in rows), encoding="utf-8")
                made.append(target)
    return made


def widened(asked: Sequence[Asked], at: int, count: int, place: str, seed: int) -> Asked:
    """Question `at` over `count` documents. The others of a count are among those of every larger one. @raise ValueError as write_counts"""
    own = asked[at]
    rng = random.Random(f"{seed}/{at}")
    others = [index for index in range(len(own.documents)) if index != own.gold][: count - 1]
    texts, titles = [own.documents[index] for index in others], [own.titles[index] for index in others]
    if len(texts) < count - 1:
        known = {own.documents[own.gold], *texts}
        pool = dict(zip(*[[field for each in asked for field in getattr(each, name)] for name in ("documents", "titles")], strict=True))
        fitting = [
            (text, title)
            for text, title in pool.items()
            if text not in known and title != own.titles[own.gold] and not contains(f"{title} {text}", own.accepted)
        ]
        wanted = count - 1 - len(texts)
        if len(fitting) < wanted:
            raise ValueError(f"{len(fitting)} documents of other rows fit question {at}, and {wanted} are wanted: read more rows or ask for fewer documents")
        drawn = random.Random(f"{seed}/{at}/others").sample(fitting, len(fitting))[:wanted]
        texts += [text for text, _ in drawn]
        titles += [title for _, title in drawn]
    gold = {"drawn": int(rng.random() * count), "first": 0, "middle": count // 2, "last": count - 1}[place]
    texts.insert(gold, own.documents[own.gold])
    titles.insert(gold, own.titles[own.gold])
    return Asked(tuple(texts), tuple(titles), own.question, own.accepted, gold)


def row(asked: Asked, name: str) -> dict:
    documents = [{"title": title, "text": text} for title, text in zip(asked.titles, asked.documents, strict=True)]
    return {"id": name, "question": asked.question, "answers": list(asked.accepted), "documents": documents, "gold": [asked.gold]}
