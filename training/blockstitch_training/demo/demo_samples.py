"""Writes the documents and questions of `make demo`: `python -m blockstitch_training.write_samples --out models/demo/samples`."""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path

from .question_generator import make_example

HELD_OUT_SAMPLE_SEED = 1_000_000_007


def write_samples(out: Path, documents: int, entities: int, questions: int) -> None:
    """One text file per document and questions.json: question, answer and the file that holds it."""
    out.mkdir(parents=True, exist_ok=True)
    example = make_example(random.Random(HELD_OUT_SAMPLE_SEED), documents, questions, entities)
    names = [f"document-{index + 1}.txt" for index in range(documents)]
    for name, text in zip(names, example.documents, strict=True):
        (out / name).write_text(text + "\n")
    rows = [{"question": each.question, "answer": each.answer, "gold": names[each.gold], "documents": names} for each in example.questions]
    (out / "questions.json").write_text(json.dumps(rows, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--documents", type=int, default=8)
    parser.add_argument("--entities", type=int, default=3, help="entities per document")
    parser.add_argument("--questions", type=int, default=5)
    arguments = parser.parse_args()
    write_samples(arguments.out, arguments.documents, arguments.entities, arguments.questions)


if __name__ == "__main__":
    main()
