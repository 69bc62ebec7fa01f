"""Reads the public question files, each in its own form, as pools of passages with questions over them.

| kind | row |
| --- | --- |
| nq | `question, answers, title, text`: one passage and its question |
| xquad | `title, paragraphs, questions: [{question, answers, gold}]`: one article |
| covidqa | `id, chunks, questions: [{question, answers, gold}]`: one paper, cut |
| pubmedqa | `question, contexts, labels, decision`: one abstract in labelled sections, answered by yes, no or maybe |

`gold` is the index of the part that holds the answer. It knows files and no prompts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

KINDS = ("nq", "xquad", "covidqa", "pubmedqa")


@dataclass(frozen=True)
class Passage:
    title: str
    text: str

    def as_document(self) -> dict[str, str]:
        return {"title": self.title, "text": self.text} if self.title else {"text": self.text}


@dataclass(frozen=True)
class Question:
    text: str
    answer: str  # short
    gold: int  # index of the work's part that holds the answer; -1: all parts together


@dataclass(frozen=True)
class Work:
    """One source text in parts, and the questions over it."""

    id: str
    parts: tuple[Passage, ...]
    questions: tuple[Question, ...]


def read_works(kind: str, file: Path) -> list[Work]:
    """@raise ValueError naming file and line of a row that has not the kind's fields"""
    works = []
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                works += _READERS[kind](json.loads(line))
            except (KeyError, IndexError, TypeError, ValueError) as error:
                raise ValueError(f"{file}:{number}: this is no row of {kind}: {error!r}") from error
    return works


def read_texts(files: list[Path]) -> list[tuple[str, Passage]]:
    """Texts without questions, each with its id: a file is one text, and each line of a `.jsonl` is one, under `text`, with a `title` if it has one.

    @raise ValueError naming file and line of a row without text; OSError
    """
    texts = []
    for file in files:
        if file.suffix != ".jsonl":
            texts.append((file.name, Passage("", file.read_text(encoding="utf-8"))))
            continue
        for number, line in enumerate(file.read_text(encoding="utf-8").split("\n"), 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
                texts.append((f"{file.name}:{number}", Passage(str(row.get("title") or ""), row["text"] + "")))
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise ValueError(f"{file}:{number}: this is no row with a text: {error!r}") from error
    return [(name, text) for name, text in texts if text.text.strip()]


def _nq(row: dict) -> Iterator[Work]:
    yield Work(row["id"], (Passage(row["title"], row["text"]),), (Question(row["question"], _short(row["answers"]), 0),))


def _xquad(row: dict) -> Iterator[Work]:
    yield Work(row["title"], tuple(Passage(row["title"], text) for text in row["paragraphs"]), _asked(row["questions"]))


def _covidqa(row: dict) -> Iterator[Work]:
    yield Work(row["id"], tuple(Passage("", text) for text in row["chunks"]), _asked(row["questions"]))


def _pubmedqa(row: dict) -> Iterator[Work]:
    parts = tuple(Passage(label.capitalize(), text) for label, text in zip(row["labels"], row["contexts"], strict=True))
    yield Work(row["id"], parts, (Question(row["question"], row["decision"], -1),))


def _asked(questions: list[dict]) -> tuple[Question, ...]:
    golds = [each["gold"][0] if isinstance(each["gold"], list) else each["gold"] for each in questions]
    return tuple(Question(each["question"], _short(each["answers"]), int(gold)) for each, gold in zip(questions, golds, strict=True))


def _short(answers: list[str]) -> str:
    """The shortest of the accepted answers, on one line."""
    return min((" ".join(answer.split()) for answer in answers if answer.strip()), key=len)


_READERS = {"nq": _nq, "xquad": _xquad, "covidqa": _covidqa, "pubmedqa": _pubmedqa}
