"""Reads rows of a question over documents, one context a row: the files that models are evaluated on.

A row is `{id, question, answers, documents: [{title, text}], gold: [index]}`, or one of pubmedqa (question_files.py).
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path

from .contexts import Asked, Context
from .question_files import Passage, read_work, shortest


def read_rows(file: Path, most: int) -> list[Context]:
    """The first `most` rows, each with the shortest of its accepted answers. @raise ValueError naming file and line of another row"""
    contexts = []
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(itertools.islice(lines, most), 1):
            try:
                contexts.append(_context(file.stem.split(".")[0], json.loads(line)))
            except (KeyError, IndexError, TypeError, ValueError) as error:
                raise ValueError(f"{file}:{number}: this is no row of a question over documents: {error!r}") from error
    return contexts


def _context(kind: str, row: dict) -> Context:
    if "contexts" in row:
        [work] = read_work("pubmedqa", row)
        [question] = work.questions
        return Context(kind, (work.id,), work.parts, (Asked(question.text, question.answer, tuple(range(len(work.parts)))),))
    documents = tuple(Passage(each.get("title", ""), each["text"]) for each in row["documents"])
    asked = Asked(row["question"], shortest(row["answers"]), tuple(int(at) for at in row["gold"]))
    return Context(kind, (str(row["id"]),), documents, (asked,))
