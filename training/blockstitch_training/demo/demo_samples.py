"""The documents and questions of `make demo`: one text file per document and questions.json."""

from __future__ import annotations

import json
import random
from pathlib import Path

from .question_generator import make_example

HELD_OUT_SAMPLE_SEED = 1_000_000_007


def write_samples(out: Path, documents: int, entities: int, questions: int) -> None:
    """Writes one text file per document, and questions.json with each question, its answer and the file that holds it."""
    out.mkdir(parents=True, exist_ok=True)
    example = make_example(random.Random(HELD_OUT_SAMPLE_SEED), documents, questions, entities)
    names = [f"document-{index + 1}.txt" for index in range(documents)]
    for name, text in zip(names, example.documents, strict=True):
        (out / name).write_text(text + "\n")
    rows = [{"question": each.question, "answer": each.answer, "gold": names[each.gold], "documents": names} for each in example.questions]
    (out / "questions.json").write_text(json.dumps(rows, indent=2) + "\n")
